"""The agent's own backchannels while the user speaks at length: whether, and where."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_evals.audio.segments import UTTERANCE_GAP_MS, Span, gaps, merge
from duplex_evals.conversation.record import Placed
from duplex_evals.metrics.conversation import Conversation, bounds
from duplex_evals.metrics.observation import Metric, Observation

# Around the end of a phrase: most human backchannels begin shortly before it or after it.
BEFORE_MS: Final = 500
AFTER_MS: Final = 1_000
BIN_MS: Final = 200  # Full-Duplex-Bench's bins
MINUTE_MS: Final = 60_000

_PLACES = "-0.5 s to +1.0 s around the beginning of a pause inside the turn"
METRICS: Final = (
    Metric(
        "backchannel_precision",
        f"Agent backchannels (under 1 s, inside a long user turn) that begin {_PLACES}.",
        "share",
        "share",
        ability="backchannel",
    ),
    Metric(
        "backchannel_recall",
        f"Pauses inside long user turns with a backchannel that begins {_PLACES}.",
        "share",
        "share",
        ability="backchannel",
    ),
    Metric(
        "backchannel_per_minute",
        "Agent backchannels per minute of long user turns.",
        "ratio",
        "per min",
        ability="backchannel",
    ),
    Metric(
        "backchannel_jsd",
        "Jensen-Shannon divergence, base 2 (0 to 1), of backchannel onsets in 200 ms bins from a "
        "reference that spreads them evenly over the windows of the placed pauses; mean over "
        "turns with a backchannel.",
        "ratio",
        "",
        ability="backchannel",
    ),
)


def backchannels(c: Conversation, turn: Placed) -> list[Span]:
    """Short agent speech that begins in a user turn and lies mostly inside it."""
    start, end = bounds(turn)
    inside = merge([s for s in c.agent if s[0] < end], UTTERANCE_GAP_MS)
    return [s for s in inside if s[0] > start and not c.takes_floor(s) and sum(s) / 2 < end]


def windows(turn: Placed) -> list[Span]:
    """Where a backchannel fits: around each pause of the turn, in ms."""
    start, end = bounds(turn)
    return [(max(p[0] - BEFORE_MS, start), min(p[0] + AFTER_MS, end)) for p in gaps(turn.spans_ms)]


def observe(c: Conversation) -> list[Observation]:
    """Every turn that invites backchannels."""
    seen = []
    for turn in c.turns:
        if turn.expect != "backchannel":
            continue
        start, end = bounds(turn)
        onsets = [s[0] for s in backchannels(c, turn)]
        places = windows(turn)
        for onset in onsets:
            fits = any(a <= onset <= b for a, b in places)
            seen.append(Observation("backchannel_precision", float(fits)))
        for a, b in places:
            taken = any(a <= onset <= b for onset in onsets)
            seen.append(Observation("backchannel_recall", float(taken)))
        seen.append(
            Observation("backchannel_per_minute", len(onsets), per=(end - start) / MINUTE_MS)
        )
        if onsets and places:
            bins = int(np.ceil((end - start) / BIN_MS))
            heard = histogram([(onset, onset) for onset in onsets], start, bins)
            reference = histogram(places, start, bins)
            seen.append(Observation("backchannel_jsd", jensen_shannon(heard, reference, base=2)))
    return seen


def jensen_shannon(
    p: NDArray[np.float64], q: NDArray[np.float64], base: float = float(np.e)
) -> float:
    """Jensen-Shannon divergence of two histograms [n] (not its root), in units of ``base``.

    0 for equal shapes, log(2) in that base for histograms without a common bin.
    """
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def kullback_leibler(a: NDArray[np.float64]) -> float:
        some = a > 0
        return float((a[some] * np.log(a[some] / middle[some])).sum())

    divergence = (kullback_leibler(p) + kullback_leibler(q)) / 2
    return max(0.0, divergence) / float(np.log(base))


def histogram(spans: list[Span], start: float, bins: int) -> NDArray[np.float64]:
    """How many of ``spans`` touch each 200 ms bin [bins] after ``start`` (ms)."""
    counts = np.zeros(bins)
    for a, b in spans:
        first, last = int((a - start) // BIN_MS), int((b - start) // BIN_MS)
        counts[max(first, 0) : min(last, bins - 1) + 1] += 1
    return counts
