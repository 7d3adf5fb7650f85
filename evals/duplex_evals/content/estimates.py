"""Results from lists of values: a mean with its interval, a share that hides below ten cases."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from duplex_evals.metrics.result import Result
from duplex_evals.metrics.statistics import MIN_EVENTS, draws, interval, ratio

NOTHING: Final = "nothing of the kind happened"
TOO_FEW: Final = f"hidden: fewer than {MIN_EVENTS} cases"


def mean(
    name: str,
    definition: str,
    values: Sequence[float],
    unit: str = "",
    per: Sequence[float] | None = None,
    note: str = "",
) -> Result:
    """Sum of ``values`` by sum of ``per`` (by default their count), one of each per conversation.

    A share of fewer than ten is hidden. Without values the result is not available: ``note``, or
    that nothing of the kind happened.
    """
    n = len(values)
    below = np.ones(n) if per is None else np.asarray(per, np.float64)
    if n == 0 or below.sum() == 0:
        return Result(name, definition, unit=unit, note=note or NOTHING)
    if unit == "share" and n < MIN_EVENTS:
        return Result(name, definition, n=n, unit=unit, note=TOO_FEW)
    above = np.asarray(values, np.float64)
    low, high = None, None
    if n > 1:
        low, high = interval(ratio(above, below, draws(n)))
    value = float(above.sum() / below.sum())
    return Result(name, definition, value=value, low=low, high=high, n=n, unit=unit, note=note)


def median(name: str, definition: str, values: Sequence[float], unit: str = "") -> Result:
    """The middle of ``values``, one per conversation, with the interval of resampled middles."""
    if not values:
        return Result(name, definition, unit=unit, note=NOTHING)
    sorted_values = np.sort(np.asarray(values, np.float64))
    low, high = None, None
    if len(values) > 1:
        counts = draws(len(values)).astype(int)
        middles = [float(np.median(np.repeat(sorted_values, row))) for row in counts]
        low, high = interval(np.array(middles))
    middle = float(np.median(sorted_values))
    return Result(name, definition, value=middle, low=low, high=high, n=len(values), unit=unit)


def missing(name: str, definition: str, note: str, unit: str = "") -> Result:
    """A result that prints N/A, and why."""
    return Result(name, definition, unit=unit, note=note)
