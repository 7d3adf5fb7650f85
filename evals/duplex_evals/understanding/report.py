"""The parts' results as tables, one Markdown file and one plot, whichever parts were run."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.table import Table as RichTable

from duplex_evals.errors import ResultError
from duplex_evals.metrics.result import Result

PARTS: Final = ("questions", "remarks", "ear", "quiet", "text")
NOT_MEASURED: Final = "not measured"


@dataclass(frozen=True)
class Table:
    """``rows`` of texts under ``columns``; ``note`` stands below."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A share 0..1 of the plot with its 95 % interval and, where there is one, its target."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class PartReport:
    """What one part found. ``how``: what was measured, by name; ``details``: single cases."""

    part: str
    title: str
    how: dict[str, str]
    tables: list[Table]
    details: list[Table] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)


def percent(value: float | None, sign: bool = False) -> str:
    """A share as people write it; with ``sign`` a difference, in points."""
    if value is None:
        return NOT_MEASURED
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f} %"


def shown(result: Result, sign: bool = False) -> str:
    """A share with its interval, or why there is none."""
    if result.value is None:
        return f"{NOT_MEASURED} ({result.note})"
    if result.low is None or result.high is None:
        return percent(result.value, sign)
    low, high = (f"{100 * v:{'+' if sign else ''}.1f}" for v in (result.low, result.high))
    return f"{percent(result.value, sign)} ({low} to {high})"


def bar(label: str, result: Result, target: float | None = None) -> list[Bar]:
    """The bar of a result, none where it could not be measured."""
    if result.value is None:
        return []
    return [Bar(label, result.value, result.low, result.high, target)]


def for_terminal(table: Table) -> RichTable:
    """The same table for rich."""
    made = RichTable(title=table.title, caption=table.note or None)
    for column in table.columns:
        made.add_column(column, overflow="fold")
    for row in table.rows:
        made.add_row(*row)
    return made


def write(out: Path, part: PartReport) -> list[Path]:
    """Keep ``part``; make ``understanding.md`` and ``.png`` of all parts in ``out``.

    Raises ResultError.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{part.part}.json").write_text(json.dumps(asdict(part), indent=1), "utf-8")
        parts = [p for p in (_read(out / f"{name}.json") for name in PARTS) if p is not None]
        text = out / "understanding.md"
        text.write_text(markdown(parts), "utf-8")
        return [text, _plot(out / "understanding.png", parts)]
    except OSError as error:
        raise ResultError(f"cannot write to {out}: {error.strerror or error}") from error


def markdown(parts: Sequence[PartReport]) -> str:
    """Every part's tables, single cases after the results."""
    lines = ["# How well speech is understood"]
    for part in parts:
        lines += ["", f"## {part.title}", ""]
        lines += [f"- {name}: {value}" for name, value in part.how.items()]
        for table in (*part.tables, *part.details):
            lines += ["", f"### {table.title}", "", _line(table.columns)]
            lines.append(_line(["---"] * len(table.columns)))
            lines += [_line(row) for row in table.rows]
            lines += ["", table.note] if table.note else []
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"


def _read(file: Path) -> PartReport | None:
    if not file.exists():
        return None
    try:
        stored = json.loads(file.read_text("utf-8"))
        for name, kind in (("tables", Table), ("details", Table), ("bars", Bar)):
            stored[name] = [kind(**entry) for entry in stored[name]]
        return PartReport(**stored)
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{file} is no report of a part ({error!r}); delete it") from error


def _plot(target: Path, parts: Sequence[PartReport]) -> Path:
    """One panel a part: shares as bars, intervals as whiskers, targets as red strokes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawn = [part for part in parts if part.bars]
    heights = [len(part.bars) + 1.2 for part in drawn] or [1]
    figure, grid = plt.subplots(
        len(heights), 1, squeeze=False, layout="constrained",
        figsize=(8, 0.36 * sum(heights) + 0.6), height_ratios=heights,
    )  # fmt: skip
    for axis, part in zip(grid[:, 0], drawn, strict=False):
        for place, one in enumerate(part.bars):
            axis.barh(place, 100 * one.value, color="#4c6ef5", height=0.62)
            if one.low is not None and one.high is not None:
                axis.plot([100 * one.low, 100 * one.high], [place] * 2, color="black", linewidth=1)
            if one.target is not None:
                ends = [place - 0.42, place + 0.42]
                axis.plot([100 * one.target] * 2, ends, color="#e03131", linewidth=2)
        axis.set_yticks(range(len(part.bars)), [one.label for one in part.bars])
        axis.invert_yaxis()
        axis.set_title(f"{part.title} (%)", fontsize=10, loc="left")
        axis.set_xlim(0, None)
    figure.savefig(target, dpi=110)
    plt.close(figure)
    return target
