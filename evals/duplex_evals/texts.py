"""The evaluation's fixed texts and lists in ``data/``, by file name."""

from importlib.resources import files
from typing import Any

import yaml


def read(name: str) -> str:
    """The whole of a text."""
    return files("duplex_evals").joinpath("data", name).read_text("utf-8")


def lines(name: str) -> list[str]:
    """A text line by line."""
    return read(name).splitlines()


def read_rows(name: str) -> list[dict[str, Any]]:
    """The list of a YAML file."""
    rows: list[dict[str, Any]] = yaml.safe_load(read(name))
    return rows
