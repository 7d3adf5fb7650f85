"""Wheels that tests make for a package index of their own: a folder."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from duplex_agent.assets.table import Wheel


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def only_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on pip knows the wheels in ``folder`` and no others."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def make_wheel(folder: Path, name: str, data: bytes) -> Wheel:
    """A wheel called ``name`` 1.0 whose only content is ``data``."""
    package = name.replace("-", "_")
    file = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{package}/part.bin", data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    raw = file.read_bytes()
    return Wheel(f"{name}==1.0", sha256(raw), len(raw), f"{package}/part.bin")
