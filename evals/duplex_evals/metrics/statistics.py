"""Percentiles with censoring, and bootstrap intervals over conversations.

Events of one conversation are not independent, so whole conversations are drawn again. A draw is
a row of counts: how often it holds each conversation.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 1_000
LEVEL: Final = 0.95
MIN_EVENTS: Final = 10  # rates of fewer are hidden, as tau-voice does

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def draws(conversations: int, seed: int = 0, resamples: int = RESAMPLES) -> Array:
    """Bootstrap draws [resamples, conversations]; every row sums to ``conversations``."""
    rng = np.random.default_rng(seed)
    even = np.full(conversations, 1 / conversations)
    counts: Array = rng.multinomial(conversations, even, size=resamples).astype(np.float64)
    counts.setflags(write=False)
    return counts


def ratio(values: Array, per: Array, weights: Array) -> Array:
    """Sum of ``values`` [n] by sum of ``per`` [n] under each row of ``weights`` [draws, n].

    NaN for a row in which ``per`` sums to zero. [draws]
    """
    below = weights @ per
    return np.divide(weights @ values, below, out=np.full(len(weights), np.nan), where=below > 0)


def quantile(values: Array, censored: NDArray[np.bool_], q: float, weights: Array) -> Array:
    """The ``q`` quantile (0..1) of ``values`` [n] under each row of ``weights`` [draws, n].

    Kaplan-Meier: a censored value says only that the event comes later. Without censoring this is
    the smallest value that at least ``q`` of all do not exceed; nothing is interpolated. Infinity
    where the observations do not reach ``q``; NaN for an empty row. [draws]
    """
    order = np.lexsort((censored, values))  # at a tie the events come before the censored
    values, events, weights = values[order], ~censored[order], weights[:, order]
    at_risk = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    hazard = np.divide(weights, at_risk, out=np.zeros_like(weights), where=at_risk > 0)
    survival = np.cumprod(1 - hazard * events, axis=1)
    reached = (survival <= 1 - q + 1e-9) & (weights > 0) & events
    found = np.where(reached.any(axis=1), values[reached.argmax(axis=1)], np.inf)
    return np.asarray(np.where(weights.sum(axis=1) > 0, found, np.nan))


def interval(statistics: Array) -> tuple[float, float]:
    """The bounds of the central 95 % of bootstrap ``statistics``; NaN rows are left out."""
    known = np.sort(statistics[~np.isnan(statistics)])
    if not len(known):
        return float("nan"), float("nan")
    low = int((1 - LEVEL) / 2 * (len(known) - 1))
    return float(known[low]), float(known[len(known) - 1 - low])
