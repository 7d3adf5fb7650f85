"""A record as metrics see it: who spoke when. The user by placing, the agent by detection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from duplex_agent.clock import AGENT_RATE_HZ, TICK_MS
from duplex_evals.audio.segments import UTTERANCE_GAP_MS, Span, merge, speech_segments
from duplex_evals.conversation.record import Placed, Record

FLOOR: Final = ("turn", "interruption")  # what takes the floor; the rest of the items does not
USER: Final = (*FLOOR, "backchannel", "vocal_tic")  # what comes from the user's own mouth
TAKEOVER_MS: Final = 1000  # Full-Duplex-Bench v1: shorter with few words is a backchannel
TAKEOVER_WORDS: Final = 3
GREETING_MS: Final = 3000  # speech begun this early, before the user's first, is a greeting


@dataclass(frozen=True)
class Conversation:
    """Speech on both channels in ms. ``items`` are what was placed, by their beginning.

    ``agent`` are the agent's inter-pausal units (silence over 200 ms parts them).
    ``words`` counts the words that the agent itself reports to have said in a span; None where
    it reports none.
    """

    items: tuple[Placed, ...]
    agent: tuple[Span, ...]
    end_ms: float
    family: str = "custom"
    compute_ms: tuple[float, ...] = ()
    words: Callable[[Span], int] | None = None

    @property
    def turns(self) -> list[Placed]:
        """The items that take the floor."""
        return [item for item in self.items if item.kind in FLOOR]

    @property
    def utterances(self) -> list[Span]:
        """The agent's units, those at most 500 ms apart made one."""
        return merge(list(self.agent), UTTERANCE_GAP_MS)

    @property
    def user(self) -> list[Span]:
        """The user's own inter-pausal units, in order."""
        return merge([s for item in self.items if item.kind in USER for s in item.spans_ms], 200)

    def speaking_at(self, moment_ms: float) -> bool:
        """Whether the agent is inside one of its units."""
        return any(start <= moment_ms < end for start, end in self.agent)

    def next_turn_ms(self, after_ms: float) -> float:
        """When the user takes the floor again after a moment; the end where they do not."""
        starts = [bounds(turn)[0] for turn in self.turns]
        return min((s for s in starts if s > after_ms), default=self.end_ms)

    def takes_floor(self, span: Span) -> bool:
        """Full-Duplex-Bench v1: not under a second with three words or fewer.

        Without the agent's own words the second decides alone; an ASR is never asked.
        """
        if span[1] - span[0] >= TAKEOVER_MS:
            return True
        return self.words is not None and self.words(span) > TAKEOVER_WORDS


def bounds(item: Placed) -> Span:
    """Where a placed item begins and ends."""
    return item.spans_ms[0][0], item.spans_ms[-1][1]


def listen(record: Record) -> Conversation:
    """Find the agent's speech in ``record``. Raises AssetError when Silero cannot be had."""
    placed = [item for item in record.placed if item.spans_ms]
    return Conversation(
        items=tuple(sorted(placed, key=lambda item: item.spans_ms[0][0])),
        agent=tuple(speech_segments(record.agent, AGENT_RATE_HZ)),
        end_ms=record.duration_s * 1000,
        family=record.scenario.family,
        compute_ms=tuple(record.compute_ms),
        words=_spoken_words(record),
    )


def _spoken_words(record: Record) -> Callable[[Span], int] | None:
    said = [
        (float(event["at_ms"]), str(event["text"]))
        for event in record.events
        if event["type"] == "reply.spoken.delta"
    ]
    if not said:
        return None

    def count(span: Span) -> int:
        # What a tick says sounds in the tick after it.
        parts = [text for at, text in said if span[0] - TICK_MS <= at < span[1]]
        return len("".join(parts).split())

    return count
