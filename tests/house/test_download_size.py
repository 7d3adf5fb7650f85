"""The size of the first start: what pip would fetch and the parts of the table, added up."""

import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT
from wheels import make_wheel, only_index

from duplex_agent.assets.table import ASSETS

PROJECT = """
[build-system]
requires = ["builder"]
[project]
name = "made"
dependencies = ["large", "small==1.0"]
"""


def mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def test_packages_and_parts_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    index.mkdir()
    only_index(index, monkeypatch)
    sizes = {"large": 3_000_000, "small": 400_000, "builder": 300_000, "editables": 200_000}
    wheels = [make_wheel(index, name, bytes(size)).size for name, size in sizes.items()]
    make_wheel(index, "unused", bytes(500_000))
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    command = [sys.executable, ROOT / "scripts/download_size.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = [tuple(line.strip().split("  ")) for line in done.stdout.splitlines()]
    run = [asset for asset in ASSETS.values() if asset.use == "run"]
    by_hub = sum(asset.size if asset.hub else asset.wheels[0].size for asset in run)
    by_wheel = sum({w.requirement: w.size for asset in run for w in asset.wheels}.values())
    assert printed == [
        (mb(wheels[0]), "large"),
        (mb(sum(wheels[1:])), "3 packages below 1 MB"),
        (mb(sum(wheels)), "packages"),
        (mb(by_hub), f"pretrained parts ({mb(by_wheel)} without the model hub)"),
        (mb(sum(wheels) + max(by_hub, by_wheel)), "together at most; the limit is 330 MB"),
    ]


def test_what_pip_cannot_find_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_index(tmp_path, monkeypatch)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    command = [sys.executable, ROOT / "scripts/download_size.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "pip cannot say what it would install"
