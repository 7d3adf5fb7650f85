"""Results of one or more runs as rows: one result a row, one run a column."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from duplex_evals.metrics.result import Result
from duplex_evals.report import labels
from duplex_evals.report.document import Report

_Key = tuple[str, str, str, str]  # name, family, subtype, voice


@dataclass(frozen=True)
class Cell:
    """One run's value. ``best``: it beats the others and the intervals do not meet."""

    value: str
    interval: str
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One result over ``place`` (families, subtypes or voices; "" for all)."""

    name: str
    title: str
    definition: str
    place: str
    cells: list[Cell]
    parts: list["Row"]


@dataclass(frozen=True)
class Chapter:
    """Results that belong together."""

    title: str
    rows: list[Row]


def chapters(reports: Sequence[Report]) -> list[Chapter]:
    """Every result of ``reports``, those over everything first and their parts inside them."""
    found = [{_key(f): f for f in report.summary.results} for report in reports]
    keys = list(dict.fromkeys(key for results in found for key in results))
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
        by_title.setdefault(labels.chapter(name), []).append(head)
    order = [title for title, _ in labels.CHAPTERS] + [labels.OTHER]
    # what other benchmarks define stands last: their names must not be taken for ours
    order = order[2:] + order[:2]
    return [Chapter(title, by_title[title]) for title in order if title in by_title]


def _by_ability(keys: list[_Key], found: list[dict[_Key, Result]]) -> list[Chapter]:
    """The WavChat table: a chapter for every ability, a row for every result of its tasks."""
    by_ability: dict[str, list[Row]] = {}
    for key in keys:
        row = _row(key, found)
        by_ability.setdefault(key[1], []).append(replace(row, place=key[2]))
    return [Chapter(name[:1].upper() + name[1:], rows) for name, rows in by_ability.items()]


def _key(result: Result) -> _Key:
    return (result.name, result.family, result.subtype, result.voice)


def _row(key: _Key, found: list[dict[_Key, Result]]) -> Row:
    results = [of.get(key) for of in found]
    some = next(f for f in results if f is not None)
    cells = []
    for index, result in enumerate(results):
        others = [f for i, f in enumerate(results) if i != index and f is not None]
        best = result is not None and labels.better(result, others)
        cells.append(Cell(labels.cell(result), labels.interval(result), best))
    place = ", ".join(part.replace("_", " ") for part in key[1:] if part)
    return Row(some.name, labels.title(some.name), some.definition, place, cells, [])
