"""What a tick costs, where the agent runs in this process and says so."""

from typing import Final

from duplex_agent.clock import TICK_MS
from duplex_evals.metrics.conversation import Conversation
from duplex_evals.metrics.observation import Metric, Observation

METRICS: Final = (
    Metric(
        "real_time_factor",
        "Compute time by audio time; below 1 is faster than real time (WavChat: the inverse).",
        "ratio",
        "",
    ),
    Metric(
        "deadline_miss_rate",
        "Ticks that took longer than the 80 ms they cover.",
        "share",
        "share",
    ),
)


def observe(c: Conversation) -> list[Observation]:
    """The ticks of one conversation; nothing where none was timed."""
    if not c.compute_ms:
        return []
    count = len(c.compute_ms)
    late = sum(ms > TICK_MS for ms in c.compute_ms)
    return [
        Observation("real_time_factor", sum(c.compute_ms), per=count * TICK_MS),
        Observation("deadline_miss_rate", late, per=count),
    ]
