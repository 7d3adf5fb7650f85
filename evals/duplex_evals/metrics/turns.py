"""Taking turns: how soon an answer is heard, whether it comes, and whether it comes too early."""

from dataclasses import dataclass
from typing import Final

from duplex_evals.audio.segments import UTTERANCE_GAP_MS, Span, gaps, merge, overlap_ms
from duplex_evals.conversation.record import Placed
from duplex_evals.metrics.conversation import Conversation, bounds
from duplex_evals.metrics.observation import Metric, Observation, share

REPLY_WINDOW_MS: Final = 15_000  # later sound is no answer to this turn
SHORTEST_WINDOW_MS: Final = 1_000  # a recording that ends sooner after a turn shows no miss
NEVER: Final = float("inf")

METRICS: Final = (
    Metric(
        "voice_to_voice_answered",
        "Last user sample of a turn to first audible agent sample after it; turns answered then.",
        "time",
        "ms",
    ),
    Metric(
        "voice_to_voice_all",
        "The same over all turns; one not answered, or only by talking over its end, is never.",
        "time",
        "ms",
    ),
    Metric(
        "missed_response_rate",
        "Turns without agent speech before the user takes the floor again, 15 s pass or it ends.",
        "share",
        "share",
    ),
    Metric(
        "premature_rate",
        "Turns in which the agent begins to speak before the true end, backchannels excepted.",
        "share",
        "share",
    ),
    Metric(
        "false_start_rate",
        "Turns in which any agent sound begins before the true end, however short: a reply begun "
        "in a pause and given up at once is no takeover, but the user has heard it.",
        "share",
        "share",
    ),
    Metric(
        "talk_over",
        "Time per turn in which such early speech and the user's sound at once.",
        "ratio",
        "ms",
    ),
    Metric(
        "pause_takeover_rate",
        "Pauses inside user turns in which agent speech of 1 s or more than 3 words begins.",
        "share",
        "share",
    ),
)


@dataclass(frozen=True)
class Reply:
    """What the agent made of a turn.

    ``latency_ms``: from the turn's end; negative when speech begun early ran past the end; None
    without a reply. ``early``: its utterances begun inside the turn that are no backchannels.
    """

    latency_ms: float | None
    early: list[Span]


def reply_to(c: Conversation, turn: Placed) -> Reply:
    """Find the reply to a turn.

    Units that begin before the turn's end and after it are never joined: an "mm-hmm" at the end
    of a turn is no part of the answer that follows.
    """
    start, end = bounds(turn)
    before = merge([s for s in c.agent if s[0] < end], UTTERANCE_GAP_MS)
    after = [s for s in c.agent if s[0] >= end]
    early = [s for s in before if s[0] > start and not _backchannel(c, s, end)]
    if early and early[-1][1] > end:
        return Reply(early[-1][0] - end, early)
    if before and before[-1][0] <= start and before[-1][1] > end:
        # It never gave way: what follows within a breath is still what it was saying.
        last = before[-1][1]
        while after and after[0][0] - last <= UTTERANCE_GAP_MS:
            last = after.pop(0)[1]
    limit = min(c.next_turn_ms(start), end + REPLY_WINDOW_MS)
    if after and after[0][0] < limit:
        return Reply(after[0][0] - end, early)
    return Reply(None, early)


def observe(c: Conversation) -> list[Observation]:
    """Every turn and every pause inside one."""
    seen = []
    for turn in c.turns:
        if turn.expect not in ("reply", "backchannel"):
            continue
        reply = reply_to(c, turn)
        if turn.expect == "reply":
            seen += _latency(c, turn, reply)
        if turn.kind == "turn":
            seen.append(share("premature_rate", bool(reply.early)))
            start, end = bounds(turn)
            seen.append(share("false_start_rate", any(start < s[0] < end for s in c.agent)))
            seen.append(Observation("talk_over", overlap_ms(reply.early, turn.spans_ms)))
            for pause in gaps(turn.spans_ms):
                seen.append(share("pause_takeover_rate", _taken(c, pause)))
    return seen


def _latency(c: Conversation, turn: Placed, reply: Reply) -> list[Observation]:
    end = bounds(turn)[1]
    if reply.latency_ms is None:
        if c.end_ms - end < SHORTEST_WINDOW_MS:
            return []
        return [share("missed_response_rate", True), Observation("voice_to_voice_all", NEVER)]
    in_turn = reply.latency_ms >= 0
    seen = [share("missed_response_rate", False)]
    seen.append(Observation("voice_to_voice_all", reply.latency_ms if in_turn else NEVER))
    if in_turn:
        seen.append(Observation("voice_to_voice_answered", reply.latency_ms))
    return seen


def _backchannel(c: Conversation, span: Span, turn_end_ms: float) -> bool:
    """A short "yes" with more than half of it after the turn is an answer."""
    return not c.takes_floor(span) and sum(span) / 2 < turn_end_ms


def _taken(c: Conversation, pause: Span) -> bool:
    return any(pause[0] <= s[0] < pause[1] and c.takes_floor(s) for s in c.utterances)
