"""The running ear needs neither PyTorch nor transformers, not even the first time."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from duplex_agent import assets
from duplex_agent.llm.load import embedding_table

LISTEN = """
import sys
import numpy as np

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "accelerate", "gguf"):
            raise ImportError(f"{name} is not for the running ear")

sys.meta_path.insert(0, Refuse())
from duplex_agent.ear.load import load_ear

ear = load_ear(tokens=sys.argv[1])
state = ear.new_state()
hiss = np.random.default_rng(0).normal(0, 0.1, (12, 1280)).astype(np.float32)
for tick in hiss:
    ear.step(state, tick)
print("onnx" in sys.modules)
"""


def listen(tokens: str, cache: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LISTEN, tokens],
        env={**os.environ, "DUPLEX_ASSETS_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def link(entries: list[Path], folder: Path) -> None:
    for entry in entries:
        (folder / entry.name).symlink_to(entry)


@pytest.mark.assets
@pytest.mark.parametrize("tokens", ["words", "12.5hz"])
def test_it_hears_without_them_and_the_second_time_without_writing_graphs(tokens):
    embedding_table()  # the language model's own files are not the matter here
    with TemporaryDirectory() as folder:
        cache, known = Path(folder), assets.cache_dir()
        (cache / "derived").mkdir()
        link([entry for entry in known.iterdir() if entry.name != "derived"], cache)
        link(list((known / "derived").glob("smollm2-*-text-*")), cache / "derived")
        assert listen(tokens, cache) == "True"
        assert listen(tokens, cache) == "False"
