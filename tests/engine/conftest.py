"""Workers of these tests find their light sessions in this folder."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def light_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
