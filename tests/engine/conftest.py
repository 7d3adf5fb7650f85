"""Workers of these tests find their light sessions in this folder; scripted parts stand beside."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "duplex"))


@pytest.fixture(autouse=True)
def light_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
