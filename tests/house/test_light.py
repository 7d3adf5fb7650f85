"""The running agent, in a process that refuses the packages of training."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from imports import modules

from duplex_agent import assets

SERVING = "assets audio duplex ear engine gateway llm offline runtime voice".split()  # noqa: SIM905
# PyTorch's side of the packages, for training and for comparison.
TRAINING = r".*\.reference(\..+)?|.*\.torch_checkpoint|.*\.thinker_transformers"
REFUSE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "accelerate", "gguf"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def run(code: str, *arguments: str, **environment: str) -> str:
    """What ``code`` prints in such a process."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSE + code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_of_the_running_agent_can_be_imported() -> None:
    inside = tuple(f"duplex_agent.{package}" for package in SERVING)
    names = [
        name
        for name in modules("duplex_agent")
        if name.startswith(inside) and not re.fullmatch(TRAINING, name)
    ]
    assert len(names) > 80
    run("import importlib; [importlib.import_module(name) for name in sys.argv[1:]]", *names)


def test_training_without_its_packages_is_one_line() -> None:
    code = "sys.argv[1:] = ['train', 'ear']; from duplex_agent.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", REFUSE + code], capture_output=True, text=True)
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("duplex-agent: torch is not installed: make setup-train")


def test_the_backend_that_needs_them_says_so(tmp_path: Path) -> None:
    code = """
from duplex_agent.errors import ThinkerError
from duplex_agent.llm.load import load_thinker
for backend in ("transformers", "onnx-fp32"):
    try:
        load_thinker(sys.argv[1], backend)
    except ThinkerError as error:
        print(error)
"""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    lines = run(code, str(tmp_path)).splitlines()
    assert len(lines) == 2
    assert all("torch" in line and "make setup-train" in line for line in lines)


@pytest.mark.assets
@pytest.mark.slow
def test_a_session_begins_with_nothing_prepared_and_speaks(tmp_path: Path) -> None:
    for asset in assets.ASSETS.values():
        if asset.use == "run":
            link = tmp_path / asset.file
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(assets.path(asset.name))
    code = """
import numpy as np
from duplex_agent.engine.run import run_one
from duplex_agent.engine.sessions import load
from duplex_agent.spec import AgentSpec
sessions = load(AgentSpec())
session = sessions.open(1)
session.add_text_turn("user", "What is the capital of France?")
session.respond()
loudest = 0.0
for _ in range(40):
    tick = run_one(session.steps(np.zeros(1280, np.float32)), sessions.executor)
    loudest = max(loudest, float(np.abs(tick.agent_pcm).max()))
print(loudest > 0.05, "torch" in sys.modules)
"""
    assert run(code, DUPLEX_ASSETS_DIR=str(tmp_path)) == "True False"
