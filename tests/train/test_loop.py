from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duplex_agent.errors import TrainingError
from duplex_agent.train.loop import LoopConfig, Recipe, train
from duplex_agent.train.recipes import build


class _Line(Recipe):
    """Fits y = 3 x with noisy inputs, so that every random stream of the loop matters."""

    name = "line"

    def __init__(self, poison_at: int = -1) -> None:
        self.poison_at = poison_at
        self.weights: list[float] = []

    def prepare(self, work: Path) -> None:
        pass

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.1), nn.Linear(8, 1))

    def batch(self, step: int, rng: np.random.Generator) -> Tensor:
        x = torch.from_numpy(rng.normal(size=(16, 1)).astype(np.float32))
        return x * float("nan") if step == self.poison_at else x

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        noisy = batch + 0.05 * torch.randn(batch.shape, generator=rng)
        loss = (model(noisy) - 3 * batch).square().mean()
        return loss, {}

    def export(self, model: nn.Module, out: Path) -> None:
        self.weights = torch.cat([p.flatten() for p in model.parameters()]).tolist()


_CONFIG = LoopConfig(steps=60, lr=0.03, warmup=5, ema=0.9, log_every=10, precision="fp32")


def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path) -> None:
    straight, resumed = _Line(), _Line()
    train(straight, _CONFIG, tmp_path / "a", out=tmp_path)
    train(resumed, _CONFIG, tmp_path / "b", stop_after=23)
    assert resumed.weights == []
    train(resumed, _CONFIG, tmp_path / "b", out=tmp_path)
    assert straight.weights == resumed.weights


def test_the_loss_falls_and_is_logged_and_drawn(tmp_path: Path) -> None:
    last = train(_Line(), replace(_CONFIG, steps=200), tmp_path)
    rows = (tmp_path / "line.csv").read_text().splitlines()
    first = float(rows[1].split(",")[2])
    assert rows[0] == "step,seconds,loss"
    assert len(rows) == 21
    assert last < 0.2 * first
    assert (tmp_path / "line.png").stat().st_size > 1000


def test_a_diverged_loss_stops_with_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="loss became nan at step 3"):
        train(_Line(poison_at=3), _CONFIG, tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    class Wider(_Line):
        def model(self) -> nn.Module:
            return nn.Linear(1, 1)

    train(_Line(), _CONFIG, tmp_path, stop_after=3)
    with pytest.raises(TrainingError, match="another version"):
        train(Wider(), _CONFIG, tmp_path)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="codec, ear"):
        build("nose")
