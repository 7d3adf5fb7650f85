"""Runs the kernels on the GPU where there is one, otherwise in Triton's interpreter.

Triton decides for one or the other when it is first imported, hence the variable is set here,
before any test module. In the interpreter a pointer out of bounds ends the whole process.
"""

import os
import sys
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    assert "triton" not in sys.modules, "Triton was imported before the interpreter was turned on"
    os.environ["TRITON_INTERPRET"] = "1"
# The tests of this folder import their shared parts by name.
sys.path.insert(0, str(Path(__file__).parent))
os.environ.pop("DUPLEX_KERNELS_BACKEND", None)


@pytest.fixture
def device() -> torch.device:
    """Where the kernels run: the GPU, or the CPU under the interpreter."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
