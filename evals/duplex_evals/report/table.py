"""Figures of one or more runs as rows: one figure a row, one run a column."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from duplex_evals.metrics.result import Figure
from duplex_evals.report import wording
from duplex_evals.report.document import Report

_Key = tuple[str, str, str, str]  # name, family, subtype, voice


@dataclass(frozen=True)
class Cell:
    """One run's value. ``best``: it beats the others and the intervals do not meet."""

    value: str
    doubt: str
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One figure over ``place`` (families, subtypes or voices; "" for all)."""

    name: str
    title: str
    definition: str
    place: str
    cells: list[Cell]
    parts: list["Row"]


@dataclass(frozen=True)
class Chapter:
    """Figures that belong together."""

    title: str
    rows: list[Row]


def chapters(reports: Sequence[Report]) -> list[Chapter]:
    """Every figure of ``reports``, those over everything first and their parts inside them."""
    found = [{_key(f): f for f in report.summary.figures} for report in reports]
    keys = list(dict.fromkeys(key for figures in found for key in figures))
    if all(family and subtype for _, family, subtype, _ in keys):
        return _by_ability(keys, found)
    whole = dict.fromkeys(name for name, *_ in keys)
    by_title: dict[str, list[Row]] = {}
    for name in whole:
        rows = [_row(key, found) for key in keys if key[0] == name]
        head = next((row for row in rows if not row.place), None)
        if head is None:
            head, rows = rows[0], rows[1:]
        head.parts.extend(row for row in rows if row is not head)
        by_title.setdefault(wording.chapter(name), []).append(head)
    order = [title for title, _ in wording.CHAPTERS] + [wording.OTHER]
    # what other benchmarks define stands last: their names must not be taken for ours
    order = order[2:] + order[:2]
    return [Chapter(title, by_title[title]) for title in order if title in by_title]


def _by_ability(keys: list[_Key], found: list[dict[_Key, Figure]]) -> list[Chapter]:
    """The WavChat table: a chapter for every ability, a row for every figure of its tasks."""
    by_ability: dict[str, list[Row]] = {}
    for key in keys:
        row = _row(key, found)
        by_ability.setdefault(key[1], []).append(replace(row, place=key[2]))
    return [Chapter(name[:1].upper() + name[1:], rows) for name, rows in by_ability.items()]


def _key(figure: Figure) -> _Key:
    return (figure.name, figure.family, figure.subtype, figure.voice)


def _row(key: _Key, found: list[dict[_Key, Figure]]) -> Row:
    figures = [of.get(key) for of in found]
    some = next(f for f in figures if f is not None)
    cells = []
    for index, figure in enumerate(figures):
        others = [f for i, f in enumerate(figures) if i != index and f is not None]
        best = figure is not None and wording.better(figure, others)
        cells.append(Cell(wording.cell(figure), wording.interval(figure), best))
    place = ", ".join(part.replace("_", " ") for part in key[1:] if part)
    return Row(some.name, wording.title(some.name), some.definition, place, cells, [])
