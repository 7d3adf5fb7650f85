"""What is not meant for the agent: it should neither stop for it nor answer it."""

from typing import Final

from duplex_evals.conversation.record import Placed
from duplex_evals.metrics.barge_in import stop_after
from duplex_evals.metrics.conversation import GREETING_MS, Conversation, bounds
from duplex_evals.metrics.observation import Metric, Observation, share

YIELD_WITHIN_MS: Final = 1_000  # tau-voice's windows
ANSWER_WITHIN_MS: Final = 2_000
# An agent that spoke this recently may only be between two of its sentences.
BREATH_MS: Final = 1_000
CATEGORY: Final = {
    "backchannel": "backchannel",
    "vocal_tic": "vocal_tic",
    "third_party": "non_directed",
    "background": "non_directed",
    "noise": "noise",
}
CATEGORIES: Final = tuple(dict.fromkeys(CATEGORY.values()))

_STOPS = "while the agent speaks, where it stops within 1.0 s of the onset."
_STARTS = (
    "while the agent is silent and owes no answer, where it starts before 2.0 s after their end."
)
METRICS: Final = (
    Metric(
        "false_interruption_rate",
        f"Backchannels, vocal tics, non-directed speech and noise {_STOPS}",
        "share",
        "share",
    ),
    *(
        Metric(f"false_interruption_rate_{c}", f"Events of kind {c} {_STOPS}", "share", "share")
        for c in CATEGORIES
    ),
    Metric(
        "spurious_response_rate",
        f"Backchannels, vocal tics, non-directed speech and noise {_STARTS}",
        "share",
        "share",
    ),
    *(
        Metric(f"spurious_response_rate_{c}", f"Events of kind {c} {_STARTS}", "share", "share")
        for c in CATEGORIES
    ),
    *(
        Metric(
            f"selectivity_{c}",
            f"Events of kind {c}, in either state of the agent, that changed nothing.",
            "share",
            "share",
        )
        for c in CATEGORIES
    ),
    Metric(
        "unprompted_speech_rate",
        "Conversations in which nobody speaks, but the agent does; a greeting begun in the first "
        "3 s is excepted.",
        "share",
        "share",
    ),
)


def observe(c: Conversation) -> list[Observation]:
    """Every event that is nothing to the agent, and silence as a whole."""
    seen = []
    for item in c.items:
        if item.kind not in CATEGORY or item.expect not in ("continue", "ignore"):
            continue
        category = CATEGORY[item.kind]
        for name, error in (
            ("false_interruption_rate", stopped(c, item)),
            ("spurious_response_rate", answered(c, item)),
        ):
            if error is not None:
                seen += [share(name, error), share(f"{name}_{category}", error)]
                seen.append(share(f"selectivity_{category}", not error))
    if all(item.kind == "noise" for item in c.items):
        seen.append(share("unprompted_speech_rate", bool(_unprompted(c))))
    return seen


def stopped(c: Conversation, item: Placed) -> bool | None:
    """Whether the agent stopped for ``item``; None where it was silent, or cannot be told.

    A pause of up to 500 ms in its speech is no stop, so that speaking on after a breath counts
    as speaking on.
    """
    start = bounds(item)[0]
    stop = stop_after(c, start, quiet_from_ms=float("inf"))
    if stop is None or (stop.censored and stop.after_ms < YIELD_WITHIN_MS):
        return None
    return not stop.censored and stop.after_ms <= YIELD_WITHIN_MS


def answered(c: Conversation, item: Placed) -> bool | None:
    """Whether the silent agent began to speak for ``item``.

    None where that cannot be told: it speaks or spoke within the last second, the user has the
    floor, a turn still waits for its answer, or the recording ends within the window.
    """
    start, end = bounds(item)
    before = [s for s in c.agent if s[0] <= start]
    if before and before[-1][1] > start - BREATH_MS:
        return None
    earlier = [turn for turn in c.turns if bounds(turn)[0] <= start]
    if earlier:
        last = earlier[-1]
        replied = any(s[0] >= bounds(last)[0] for s in before)
        if bounds(last)[1] > start or (last.expect == "reply" and not replied):
            return None
    until = min(end + ANSWER_WITHIN_MS, c.next_turn_ms(start))
    if any(start < s[0] <= until for s in c.agent):
        return True
    return None if until == c.end_ms < end + ANSWER_WITHIN_MS else False


def _unprompted(c: Conversation) -> list[tuple[float, float]]:
    first = min((bounds(item)[0] for item in c.items), default=c.end_ms)
    return [s for s in c.utterances if s[0] >= min(GREETING_MS, first)]
