"""Being interrupted: how soon the agent falls silent, and whether it does."""

from dataclasses import dataclass
from typing import Final

from duplex_evals.audio.segments import UTTERANCE_GAP_MS
from duplex_evals.conversation.record import Placed
from duplex_evals.metrics.conversation import Conversation, bounds
from duplex_evals.metrics.observation import Metric, Observation, share

STOP_WINDOW_MS: Final = 5_000  # whoever speaks on for longer has not stopped for the user
YIELD_MS: Final = {"yield_rate_1s": 1_000, "yield_rate_2s": 2_000}

METRICS: Final = (
    Metric(
        "barge_in_stop",
        "Onset of an interruption to last audible agent sample before over 500 ms of silence, or "
        "any unit end followed by nothing until the user is done. Kaplan-Meier: an agent still "
        "speaking after 5 s, at the next turn or at the end is censored there. Interruptions that "
        "meet a silent agent are void.",
        "time",
        "ms",
    ),
    Metric(
        "yield_rate_1s", "Such interruptions with a stop within 1.0 s (LSLM).", "share", "share"
    ),
    Metric(
        "yield_rate_2s",
        "Such interruptions with a stop within 2.0 s (tau-voice).",
        "share",
        "share",
    ),
    Metric(
        "interruption_void_rate",
        "Interruptions placed while the agent was silent, so that nothing could stop.",
        "share",
        "share",
    ),
)


@dataclass(frozen=True)
class Stop:
    """Time from the onset to the agent's last sound; ``censored``: it spoke on until then."""

    after_ms: float
    censored: bool


def stop_after(
    c: Conversation, onset_ms: float, quiet_from_ms: float, window_ms: float = STOP_WINDOW_MS
) -> Stop | None:
    """When the agent, speaking at ``onset_ms``, falls silent; None where it is not speaking.

    What begins after ``quiet_from_ms`` is an answer and does not continue what was said before.
    """
    units = [s for s in c.agent if s[1] > onset_ms]
    if not units or units[0][0] > onset_ms:
        return None
    end = units[0][1]
    for start, stop in units[1:]:
        if start - end > UTTERANCE_GAP_MS or start >= quiet_from_ms:
            break
        end = stop
    watched = min(onset_ms + window_ms, c.next_turn_ms(onset_ms), c.end_ms)
    return Stop(min(end, watched) - onset_ms, end >= watched)


def observe(c: Conversation) -> list[Observation]:
    """Every interruption that was placed."""
    seen = []
    for item in c.items:
        if item.kind != "interruption":
            continue
        stop = stop_of(c, item)
        seen.append(share("interruption_void_rate", stop is None))
        if stop is None:
            continue
        seen.append(Observation("barge_in_stop", stop.after_ms, censored=stop.censored))
        for name, limit in YIELD_MS.items():
            if not stop.censored or stop.after_ms >= limit:
                seen.append(share(name, not stop.censored and stop.after_ms <= limit))
    return seen


def stop_of(c: Conversation, item: Placed) -> Stop | None:
    """The stop for an interruption."""
    start, end = bounds(item)
    return stop_after(c, start, end)
