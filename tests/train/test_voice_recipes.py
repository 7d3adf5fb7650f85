"""Every recipe of the voice runs end to end at its smallest: synthesis, features, loss, export."""

import csv
from pathlib import Path

import pytest
import torch

from duplex_agent.runtime import torch_checkpoint
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build
from duplex_agent.train.recipes.mouth import SMOKE_CONFIG
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.reference.mouth_file import load_mouth

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all recipes: they share the teacher's speech."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "metric", "fraction"),
    # The codec's total grows when its judge joins in; what must fall is the distance.
    [
        ("codec", "spectral", 0.6),
        ("phones", "loss", 0.6),
        ("mouth", "loss", 0.8),
        ("mouth-distill", "jump", 0.6),
        ("mouth-energy", "loss", 0.8),
        ("mouth-fsq", "loss", 0.9),
    ],
)
def test_a_smoke_recipe_learns_resumes_and_exports(
    runs: Path, name: str, metric: str, fraction: float
) -> None:
    recipe, config = build(name, smoke=True)
    work = runs / name
    train(recipe, config, work, out=work, stop_after=config.steps // 2)
    assert not list(work.glob(f"{name}.safetensors"))
    again, _ = build(name, smoke=True)
    train(again, config, work, out=work)
    rows = list(csv.DictReader((work / f"{name}.csv").open()))
    assert [int(r["step"]) for r in rows] == list(
        range(config.log_every, config.steps + 1, config.log_every)
    )
    assert float(rows[-1][metric]) < fraction * float(rows[0][metric])
    tensors, metadata = torch_checkpoint.load(work / f"{name}.safetensors")
    assert metadata["recipe"] == name
    assert tensors
    if name.startswith("mouth"):
        mouth, _ = load_mouth(work / f"{name}.safetensors", SMOKE_CONFIG)
        slots, thinker = torch.rand(1, 12, len(PHONES)), torch.zeros(1, 576)
        for steps in (1, 3):
            token, _ = mouth.step(slots, thinker, torch.randn(1, 48), mouth.new_state(), steps)
            assert torch.isfinite(token).all()
