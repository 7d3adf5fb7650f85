"""Full-Duplex-Bench v1 (arXiv:2503.04721), its definitions on our scenarios; compare with care.

Judge-free: agent speech comes from segments, never from an ASR, which moves these results more
than most systems do. A takeover is agent speech of 1 s or more, or of more than three words where
the agent reports its words; the span runs from the first onset to the last end, as published.
"""

from typing import Final

import numpy as np

from duplex_evals.audio.segments import Span
from duplex_evals.conversation.record import Placed
from duplex_evals.metrics.backchannel import BIN_MS, histogram, jensen_shannon, windows
from duplex_evals.metrics.conversation import Conversation, bounds
from duplex_evals.metrics.observation import Metric, Observation, share

LONG_MS: Final = 3_000  # in the backchannel task a longer segment is a takeover
EPSILON: Final = 1e-10

METRICS: Final = (
    Metric(
        "fdb_v1_pause_tor",
        "Full-Duplex-Bench v1 pause handling: takeover by any output up to the end of a turn with "
        "pauses, a greeting included. Lower is better.",
        "share",
        "share",
    ),
    Metric(
        "fdb_v1_turn_tor",
        "Full-Duplex-Bench v1 smooth turn: takeover by any output. Higher is better.",
        "share",
        "share",
    ),
    Metric(
        "fdb_v1_turn_latency",
        "Full-Duplex-Bench v1 smooth turn: mean of first agent onset minus turn end, negative as "
        "0, where it took over.",
        "ratio",
        "s",
    ),
    Metric(
        "fdb_v1_interruption_tor",
        "Full-Duplex-Bench v1 user interruption: takeover by output that begins after its end.",
        "share",
        "share",
    ),
    Metric(
        "fdb_v1_interruption_latency",
        "Full-Duplex-Bench v1 user interruption: mean time to the first onset after its end, where "
        "it took over.",
        "ratio",
        "s",
    ),
    Metric(
        "fdb_v1_backchannel_tor",
        "Full-Duplex-Bench v1 backchannel: any agent segment over 3 s inside the monologue (its "
        "script lets the last segment decide). Lower is better.",
        "share",
        "share",
    ),
    Metric(
        "fdb_v1_backchannel_frequency",
        "Full-Duplex-Bench v1 backchannel: segments of 3 s or less per second of audio.",
        "ratio",
        "per s",
    ),
    Metric(
        "fdb_v1_backchannel_jsd",
        "Full-Duplex-Bench v1 backchannel: Jensen-Shannon distance (root), natural logarithm, "
        "200 ms bins, 1 without any; against placed pauses, not against its human listeners.",
        "ratio",
        "",
    ),
)


def observe(c: Conversation) -> list[Observation]:
    """The task that the conversation's family stands for; nothing for other families."""
    if c.family == "user_interruption":
        return [
            o for turn in c.turns if turn.kind == "interruption" for o in _interruption(c, turn)
        ]
    turns = [turn for turn in c.turns if turn.kind == "turn"]
    if not turns:
        return []
    turn = turns[0]
    if c.family == "pause_handling":
        return [share("fdb_v1_pause_tor", takeover(c, _begun(c, 0.0, bounds(turn)[1])))]
    if c.family == "smooth_turn":
        return _smooth_turn(c, turn)
    if c.family == "agent_backchannel":
        return _backchannel(c, turn)
    return []


def takeover(c: Conversation, units: list[Span]) -> bool:
    """Whether ``units`` together take the floor; no unit does not."""
    return bool(units) and c.takes_floor((units[0][0], units[-1][1]))


def _begun(c: Conversation, after_ms: float, before_ms: float) -> list[Span]:
    """Units that begin in a stretch, cut at its end."""
    inside = [s for s in c.agent if after_ms <= s[0] < before_ms]
    return [(start, min(end, before_ms)) for start, end in inside]


def _smooth_turn(c: Conversation, turn: Placed) -> list[Observation]:
    units = _begun(c, 0.0, c.end_ms)
    seen = [share("fdb_v1_turn_tor", takeover(c, units))]
    if takeover(c, units):
        late = max(0.0, units[0][0] - bounds(turn)[1])
        seen.append(Observation("fdb_v1_turn_latency", late / 1000))
    return seen


def _interruption(c: Conversation, turn: Placed) -> list[Observation]:
    start, end = bounds(turn)
    units = _begun(c, end, c.next_turn_ms(start))
    seen = [share("fdb_v1_interruption_tor", takeover(c, units))]
    if takeover(c, units):
        seen.append(Observation("fdb_v1_interruption_latency", (units[0][0] - end) / 1000))
    return seen


def _backchannel(c: Conversation, turn: Placed) -> list[Observation]:
    start, end = bounds(turn)
    units = [s for s in c.agent if start <= s[0] < end]
    short = [s for s in units if s[1] - s[0] <= LONG_MS]
    seen = [share("fdb_v1_backchannel_tor", len(short) < len(units))]
    seen.append(Observation("fdb_v1_backchannel_frequency", len(short), (end - start) / 1000))
    reference = windows(turn)
    if reference:
        seen.append(Observation("fdb_v1_backchannel_jsd", _distance(short, reference, start, end)))
    return seen


def _distance(found: list[Span], reference: list[Span], start: float, end: float) -> float:
    if not found:
        return 1.0
    bins = int(np.ceil((end - start) / BIN_MS))
    one, two = (histogram(spans, start, bins) + EPSILON for spans in (found, reference))
    return float(np.sqrt(jensen_shannon(one, two)))
