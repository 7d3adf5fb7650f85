"""A report as data: what ``report.json`` holds, and how it is read back for a comparison.

Not-a-number and infinity have no place in JSON: they are written as null.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from duplex_evals.errors import ResultError
from duplex_evals.metrics.result import Result, Summary

SCHEMA: Final = "duplex-evals report 2"
_RESULTS_KEY: Final = {SCHEMA: "results", "duplex-evals report 1": "figures"}
FILE: Final = "report.json"


@dataclass(frozen=True)
class Mark:
    """Something on a timeline: a stretch, or a moment where ``end_ms`` equals ``start_ms``."""

    start_ms: float
    end_ms: float
    kind: str
    text: str = ""


@dataclass(frozen=True)
class Timeline:
    """What a page draws of one conversation.

    ``user_levels`` and ``agent_levels``: loudness in steps of ``step_ms``, 0 to 99 (-60 to 0 dBFS).
    ``placed`` is what the user's channel holds, ``segments`` where the agent's holds speech,
    ``understood`` and ``said`` are the words that the agent reports, ``events`` the rest.
    """

    step_ms: float
    user_levels: list[int]
    agent_levels: list[int]
    placed: list[Mark]
    segments: list[Mark]
    understood: list[Mark]
    said: list[Mark]
    events: list[Mark]


@dataclass(frozen=True)
class Case:
    """One conversation of a run. ``error``: why it was not held; then nothing else is known."""

    id: str
    family: str
    subtype: str = ""
    voice: str = ""
    folder: str = ""
    duration_s: float = 0.0
    error: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    timeline: Timeline | None = None


@dataclass(frozen=True)
class Report:
    """One run. ``gates`` are (passed, text)."""

    meta: dict[str, Any]
    summary: Summary
    cases: list[Case] = field(default_factory=list)
    gates: list[tuple[bool, str]] = field(default_factory=list)

    @property
    def agent(self) -> str:
        return str(self.meta["agent"])

    @property
    def failed(self) -> list[Case]:
        """The cases that could not be held."""
        return [case for case in self.cases if case.error]

    @property
    def failures(self) -> dict[str, list[str]]:
        """Why conversations could not be held, with the ids of those that share the reason."""
        found: dict[str, list[str]] = {}
        for case in self.failed:
            found.setdefault(case.error, []).append(case.id)
        return found


def write_json(report: Report, folder: Path) -> None:
    """``report.json`` and ``results.jsonl`` (a line a conversation). Raises ResultError."""
    document = {"schema": SCHEMA, **asdict(report)}
    rows = [{k: v for k, v in asdict(c).items() if k != "timeline"} for c in report.cases]
    lines = "".join(json.dumps(_finite(row)) + "\n" for row in rows)
    write_text(folder / FILE, json.dumps(_finite(document), separators=(",", ":")))
    write_text(folder / "results.jsonl", lines)


def read_report(folder: Path) -> Report:
    """The report of a run's folder. Raises ResultError when there is none or it is foreign."""
    try:
        document = json.loads((folder / FILE).read_text("utf-8"))
        key = _RESULTS_KEY.get(document["schema"])
        if key is None:
            raise ResultError(f"{folder / FILE} is of another version: run it again")
        results = [Result(**row) for row in document["summary"][key]]
        return Report(
            meta=document["meta"],
            summary=Summary(results, document["summary"]["samples"]),
            cases=[_case(row) for row in document["cases"]],
            gates=[(bool(passed), str(text)) for passed, text in document["gates"]],
        )
    except FileNotFoundError as error:
        raise ResultError(f"{folder} holds no {FILE}: it is no finished run") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(f"cannot read {folder / FILE}: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises ResultError with one line."""
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as error:
        raise ResultError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}"
        ) from error


def _case(row: dict[str, Any]) -> Case:
    drawn = row.pop("timeline")
    if drawn is None:
        return Case(**row)
    for name in ("placed", "segments", "understood", "said", "events"):
        drawn[name] = [Mark(**mark) for mark in drawn[name]]
    return Case(**row, timeline=Timeline(**drawn))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
