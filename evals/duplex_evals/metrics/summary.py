"""Records of conversations in, the table of duplex results out."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_evals.conversation.record import Record
from duplex_evals.metrics import (
    backchannel,
    barge_in,
    compute,
    fdb_v1,
    floor_statistics,
    selectivity,
    tau_voice,
    turns,
)
from duplex_evals.metrics.conversation import Conversation, listen
from duplex_evals.metrics.observation import Metric, Observation
from duplex_evals.metrics.result import ALL as ALL
from duplex_evals.metrics.result import Result as Result
from duplex_evals.metrics.result import Summary as Summary
from duplex_evals.metrics.statistics import MIN_EVENTS, draws, interval, quantile, ratio

VERSION: Final = 1  # of the definitions together; a report states it
_MODULES: Final = (
    turns, barge_in, selectivity, backchannel, floor_statistics, fdb_v1, tau_voice, compute,
)  # fmt: skip
METRICS: Final[dict[str, Metric]] = {m.name: m for module in _MODULES for m in module.METRICS}
_OBSERVERS: Final[tuple[Callable[[Conversation], list[Observation]], ...]] = tuple(
    module.observe for module in _MODULES
)
NOTHING: Final = "nothing of the kind happened"
TOO_FEW: Final = f"hidden: fewer than {MIN_EVENTS} events"
LATER: Final = "later than could be observed"

_Place = tuple[str, str, str]  # family, subtype, voice
_Seen = list[tuple[int, Observation]]  # with the number of the conversation


def observations(c: Conversation) -> list[Observation]:
    """Everything that every metric measures in one conversation."""
    return [seen for observe in _OBSERVERS for seen in observe(c)]


def per_record(record: Record) -> dict[str, float | str | None]:
    """One conversation's metrics by name: share, ratio, or median of its times in ms.

    None where nothing of the kind happened, or it never came.
    """
    found: dict[str, _Seen] = defaultdict(list)
    for seen in observations(listen(record)):
        found[seen.metric].append((0, seen))
    row: dict[str, float | str | None] = {}
    for name, metric in METRICS.items():
        value = _statistic(metric, 50, found[name], np.ones((1, len(found[name]))))[0]
        row[name] = round(float(value), 4) if isfinite(value) else None
    return row


def summarise(
    records: Sequence[Record], abilities: Collection[str] | None = None, seed: int = 0
) -> Summary:
    """The results of ``records``: over all, by voice, by family, and by its subtypes and voices.

    Every result exists over all conversations, with value None and the reason where it is not
    available; elsewhere only what happened is listed. What the agent does not claim in
    ``abilities`` is not available; None claims everything. ``seed`` draws the intervals.
    """
    seen: dict[_Place, dict[str, _Seen]] = defaultdict(lambda: defaultdict(list))
    for number, record in enumerate(records):
        found = observations(listen(record))
        for place in _places(record):
            for one in found:
                seen[place][one.metric].append((number, one))
    everywhere: _Place = (ALL, ALL, ALL)
    results = []
    for place in sorted({everywhere, *seen}):
        table = []
        for name, metric in METRICS.items():
            here = seen[place][name] if place in seen else []
            lacks = abilities is not None and metric.ability and metric.ability not in abilities
            if lacks:
                here = []
            if here or place == everywhere:
                note = f"the agent does not claim: {metric.ability}" if lacks else NOTHING
                table += _results(metric, here, place, note, seed)
        results += table + _tau_selectivity(table, place)
    samples = {
        metric.name: [o.value for _, o in seen[everywhere][metric.name] if isfinite(o.value)]
        for metric in METRICS.values()
        if metric.kind == "time"
    }
    return Summary(results, samples)


def _places(record: Record) -> Iterator[_Place]:
    scenario = record.scenario
    yield (ALL, ALL, ALL)
    yield (ALL, ALL, scenario.voice)
    yield (scenario.family, ALL, ALL)
    yield (scenario.family, ALL, scenario.voice)
    if scenario.subtype:
        yield (scenario.family, scenario.subtype, ALL)


def _statistic(
    metric: Metric, point: int, seen: _Seen, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The metric over ``seen`` under each row of ``weights`` [draws, n]; NaN for nothing."""
    if not seen:
        return np.full(len(weights), np.nan)
    values = np.array([o.value for _, o in seen])
    if metric.kind == "time":
        censored = np.array([o.censored for _, o in seen])
        return quantile(values, censored, point / 100, weights)
    return ratio(values, np.array([o.per for _, o in seen]), weights)


def _results(metric: Metric, seen: _Seen, place: _Place, missing: str, seed: int) -> list[Result]:
    """One result of a share or ratio; of a time one for each percentile."""
    if metric.kind != "time":
        return [_result(metric, metric.name, 0, seen, place, missing, seed)]
    return [
        _result(metric, f"{metric.name}_p{point}", point, seen, place, missing, seed)
        for point in metric.points
    ]


def _result(
    metric: Metric, name: str, point: int, seen: _Seen, place: _Place, missing: str, seed: int
) -> Result:
    family, subtype, voice = place
    count = round(sum(o.per for _, o in seen)) if metric.kind == "share" else len(seen)
    low: float | None = None
    high: float | None = None
    value: float | None = None
    note = missing
    if seen:
        value = float(_statistic(metric, point, seen, np.ones((1, len(seen))))[0])
        low, high = _interval(metric, point, seen, seed)
        note = _censoring(metric, seen)
        if not isfinite(value):
            value, note = None, "; ".join(filter(None, (LATER, note)))
        tail = metric.kind == "time" and point > 75
        if count < MIN_EVENTS and (metric.kind == "share" or tail):
            value, low, high, note = None, None, None, TOO_FEW
    return Result(
        name, metric.definition, family, subtype, voice, value, low, high, count, metric.unit, note
    )


def _interval(
    metric: Metric, point: int, seen: _Seen, seed: int
) -> tuple[float | None, float | None]:
    numbers = {number: row for row, number in enumerate(dict.fromkeys(n for n, _ in seen))}
    if len(numbers) < 2:
        return None, None
    rows = [numbers[number] for number, _ in seen]
    bounds = interval(_statistic(metric, point, seen, draws(len(numbers), seed)[:, rows]))
    low, high = (bound if isfinite(bound) else None for bound in bounds)
    return low, high


def _censoring(metric: Metric, seen: _Seen) -> str:
    late = sum(o.censored or not isfinite(o.value) for _, o in seen)
    return f"{late} of {len(seen)} not seen to happen" if metric.kind == "time" and late else ""


def _tau_selectivity(table: list[Result], place: _Place) -> list[Result]:
    """tau-voice's column: the plain mean of its three rates, only where all three are shown."""
    parts = [f for f in table if f.name in tau_voice.SELECTIVITY.values()]
    values = [f.value for f in parts if f.value is not None]
    whole = len(values) == len(tau_voice.SELECTIVITY)
    if not whole and place != (ALL, ALL, ALL):
        return []
    return [
        Result(
            "tau_voice_selectivity",
            "tau-voice selectivity: plain mean of S_BC, S_VT and S_ND.",
            *place,
            value=sum(values) / len(values) if whole else None,
            n=sum(f.n for f in parts),
            unit="share",
            note="" if whole else "needs all three rates",
        )
    ]
