"""dGSLM's statistics of a dialogue (arXiv:2203.16502): units, pauses, gaps and overlaps.

An inter-pausal unit (IPU) is one side's speech bounded by over 200 ms of silence. Joint silence
between units of the same side is a pause, of different sides a gap; speech of both is overlap.
"""

from itertools import pairwise
from typing import Final

from duplex_evals.audio.segments import Span, merge
from duplex_evals.metrics.conversation import Conversation
from duplex_evals.metrics.observation import Metric, Observation

MINUTE_MS: Final = 60_000
KINDS: Final = {
    "ipu_agent": "Inter-pausal units of the agent",
    "ipu_user": "Inter-pausal units of the user (placed)",
    "pause": "Silences between units of the same side, 200 ms or less left out",
    "gap": "Silences between units of different sides",
    "overlap": "Stretches with speech on both sides",
}

METRICS: Final = (
    *(
        Metric(f"{k}_per_minute", f"{v}: count a minute.", "ratio", "per min")
        for k, v in KINDS.items()
    ),
    *(
        Metric(f"{k}_seconds_per_minute", f"{v}: seconds a minute.", "ratio", "s per min")
        for k, v in KINDS.items()
    ),
    Metric(
        "floor_transfer_offset",
        "Onset of an agent unit minus end of the user unit that it takes over from; negative in "
        "overlap. Units wholly inside the other side's are no transfer.",
        "time",
        "ms",
        points=(25, 50, 75),
    ),
)


def observe(c: Conversation) -> list[Observation]:
    """The whole conversation."""
    user, agent = c.user, list(c.agent)
    minutes = c.end_ms / MINUTE_MS
    if minutes <= 0:
        return []
    pauses, between = silences(user, agent)
    both = overlaps(user, agent)
    found = {"ipu_agent": agent, "ipu_user": user}
    found |= {"pause": pauses, "gap": between, "overlap": both}
    seen = []
    for kind, spans in found.items():
        seconds = sum(end - start for start, end in spans) / 1000
        seen.append(Observation(f"{kind}_per_minute", len(spans), per=minutes))
        seen.append(Observation(f"{kind}_seconds_per_minute", seconds, per=minutes))
    seen += [Observation("floor_transfer_offset", ms) for ms in transfer_offsets(user, agent)]
    return seen


def overlaps(user: list[Span], agent: list[Span]) -> list[Span]:
    """Stretches in which both speak, in order."""
    both = [(max(u[0], a[0]), min(u[1], a[1])) for u in user for a in agent]
    return sorted(span for span in both if span[0] < span[1])


def silences(user: list[Span], agent: list[Span]) -> tuple[list[Span], list[Span]]:
    """Stretches in which neither speaks, between units: (pauses, gaps)."""
    pauses: list[Span] = []
    between: list[Span] = []
    for one, two in pairwise(merge([*user, *agent], 0.0)):
        left = {side for side, spans in enumerate((user, agent)) if _any_end(spans, one[1])}
        right = {side for side, spans in enumerate((user, agent)) if _any_start(spans, two[0])}
        (pauses if left & right else between).append((one[1], two[0]))
    return pauses, between


def transfer_offsets(user: list[Span], agent: list[Span]) -> list[float]:
    """Floor-transfer offsets from the user to the agent, in ms."""
    units = sorted([(*s, 0) for s in user] + [(*s, 1) for s in agent])
    kept = [u for u in units if not any(_inside(u, v) for v in units)]
    return [b[0] - a[1] for a, b in pairwise(kept) if (a[2], b[2]) == (0, 1)]


def _inside(u: tuple[float, float, int], v: tuple[float, float, int]) -> bool:
    return u[2] != v[2] and v[0] <= u[0] and u[1] <= v[1] and u[:2] != v[:2]


def _any_end(spans: list[Span], moment: float) -> bool:
    return any(end == moment for _, end in spans)


def _any_start(spans: list[Span], moment: float) -> bool:
    return any(start == moment for start, _ in spans)
