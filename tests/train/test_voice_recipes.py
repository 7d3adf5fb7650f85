"""Every recipe of the voice runs end to end at its smallest: synthesis, features, loss, export."""

import csv
from pathlib import Path

import pytest

from duplex_agent.model import checkpoint
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all recipes: they share the teacher's speech."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "fraction"), [("codec", 0.6), ("phones", 0.6), ("mouth", 0.8)])
def test_a_smoke_recipe_learns_resumes_and_exports(runs: Path, name: str, fraction: float) -> None:
    recipe, config = build(name, smoke=True)
    work = runs / name
    train(recipe, config, work, out=work, stop_after=config.steps // 2)
    assert not list(work.glob(f"{name}.safetensors"))
    again, _ = build(name, smoke=True)
    last = train(again, config, work, out=work)
    rows = list(csv.DictReader((work / f"{name}.csv").open()))
    first = float(rows[0]["loss"])
    assert [int(r["step"]) for r in rows] == list(
        range(config.log_every, config.steps + 1, config.log_every)
    )
    assert last < fraction * first
    tensors, metadata = checkpoint.load(work / f"{name}.safetensors")
    assert metadata["recipe"] == name
    assert tensors
