"""Skips `gpu` tests where there is no NVIDIA GPU, and marks what keeps pace with a clock."""

import shutil
import subprocess
from pathlib import Path

import pytest

REALTIME = ("browser", "engine", "gateway", "llm/remote", "evals/network")


def _gpu_present() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return "GPU" in listed.stdout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = [Path(__file__).parent / name for name in REALTIME]
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in folders):
            item.add_marker(pytest.mark.realtime)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _gpu_present():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here"))
