"""Other systems' published results beside those of our runs, by the same definitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from duplex_evals.metrics.result import Result
from duplex_evals.report.document import Report
from duplex_evals.texts import read_rows


@dataclass(frozen=True)
class Column:
    """``result`` (over one ``voice``, "" for all) is ours of that definition, "" for none."""

    label: str
    better: str
    result: str
    voice: str


@dataclass(frozen=True)
class Published:
    """One benchmark's table. ``rows``: (system, values, whether it is ours)."""

    title: str
    source: str
    note: str
    columns: list[Column]
    rows: list[tuple[str, list[str], bool]]


def published(reports: Sequence[Report]) -> list[Published]:
    """Every published table with the runs of ``reports`` on top."""
    return [_table(raw, reports) for raw in _raw()]


@cache
def _raw() -> list[dict[str, Any]]:
    return read_rows("published.yaml")


def _table(raw: dict[str, Any], reports: Sequence[Report]) -> Published:
    columns = [
        Column(c["label"], c["better"], c["result"] or "", c.get("voice", ""))
        for c in raw["columns"]
    ]
    ours = [(r.agent, [_ours(r, column) for column in columns], True) for r in reports]
    theirs = [
        (system, [_text(value) for value in values], False)
        for system, values in raw["rows"].items()
    ]
    return Published(raw["title"], raw["source"], raw["note"], columns, ours + theirs)


def _ours(report: Report, column: Column) -> str:
    result = _find(report, column) if column.result else None
    if result is None or result.value is None:
        return "N/A"
    return _text(result.value)


def _find(report: Report, column: Column) -> Result | None:
    # the definition belongs to one family, so its part by voice is listed under that family
    for result in report.summary.results:
        if result.name == column.result and result.voice == column.voice and not result.subtype:
            return result
    return None


def _text(value: float | None) -> str:
    return "N/A" if value is None else f"{value:.3g}"
