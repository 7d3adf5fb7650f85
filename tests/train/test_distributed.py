"""Two processes under torchrun do what one does with both their batches."""

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.runtime.torch_checkpoint import load
from duplex_agent.train.llm.style_data import StyleRow, StyleSizes, prepare_rows
from duplex_agent.train.llm.tiny_model import write_tiny_llm
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build
from duplex_agent.train.recipes.thinker_style import SMOKE_SIZES, ThinkerStyleRecipe

STEPS, ROWS = 6, 4


class _BothBatches(ThinkerStyleRecipe):
    """What ranks 0 and 1 draw, in one batch."""

    def batch(self, step: int, rng: np.random.Generator) -> list[list[StyleRow]]:
        draw = super().batch
        ranks = [draw(step, np.random.default_rng(own)) for own in ((0, step), (0, step, 1))]
        return [[*a, *b] for a, b in zip(*ranks, strict=True)]


def two_processes(llm: Path, work: Path, *more: str) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    recipe = ["-m", "duplex_agent.train.recipes.thinker_style", "--device", "cpu"]
    settings = ["--precision", "fp32", "--steps", str(STEPS), "--rows", str(ROWS)]
    where = ["--thinker", str(llm), "--work", str(work)]
    command = [sys.executable, *launch, *recipe, *settings, *where, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def last_losses(work: Path) -> list[float]:
    with (work / "thinker-style.csv").open() as file:
        row = list(csv.DictReader(file))[-1]
    return [float(row[name]) for name in ("step", "loss", "spoken", "anchor")]


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.timeout(900)
def test_two_processes_equal_one_with_the_joint_batch_and_resume(tmp_path: Path) -> None:
    llm = write_tiny_llm(tmp_path / "model", "qwen2")
    one, two = tmp_path / "one", tmp_path / "two"
    source = find_language_model(str(llm))
    tokenizer = prepared_text(source).tokenizer
    prepare_rows(one, lambda: source.transformers_model, tokenizer, SMOKE_SIZES, seed=0)
    two.mkdir()
    shutil.copy(one / "style-rows.npz", two)

    torch.set_num_threads(1)
    _, config = build("thinker-style")
    config = replace(config, steps=STEPS, precision="fp32")
    joint = _BothBatches(str(llm), StyleSizes(), 16, ROWS, 1)
    train(joint, config, one, out=one / "weights", stop_after=3)
    joint = _BothBatches(str(llm), StyleSizes(), 16, ROWS, 1)
    train(joint, config, one, out=one / "weights")

    two_processes(llm, two, "--stop", "3")
    assert not (two / "weights").exists()
    two_processes(llm, two)

    np.testing.assert_allclose(last_losses(two), last_losses(one), rtol=1e-3)
    alone, _ = load(one / "thinker-style.checkpoint.safetensors")
    shared, _ = load(two / "thinker-style.checkpoint.safetensors")
    assert alone.keys() == shared.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-3, atol=1e-5, msg=name)
    a, _ = load(one / "weights" / "thinker-style.safetensors")
    b, _ = load(two / "weights" / "thinker-style.safetensors")
    for name, tensor in a.items():
        torch.testing.assert_close(b[name], tensor, rtol=0.02, atol=1e-4, msg=name)
