"""The open user turn: when it was spoken, and which of the ear's words belong to it."""

from dataclasses import dataclass, replace

from duplex_agent.ear.hearing import HeardWord, Hearing

RECENT_TICKS = 20


@dataclass(frozen=True, slots=True)
class UserTurn:
    """A user turn in progress, in ticks. ``last`` is its last tick with speech, once it ended."""

    first: int
    last: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TurnWords:
    """Words that wait and those given to the turn, for the ear may revise them.

    Words wait while nobody wants them: a turn that is recognised late, over a reply say, still
    gets its first words.
    """

    waiting: tuple[HeardWord, ...] = ()
    given: tuple[HeardWord, ...] = ()
    first: int | None = None  # tick in which the turn begins that they were given to

    def sort(
        self, hearing: Hearing, first: int | None, tick: int
    ) -> tuple["TurnWords", tuple[HeardWord, ...], tuple[HeardWord, ...]]:
        """The words after a tick, those of the turn that are revised, and those that are new in it.

        ``first``: the tick in which the turn begins, None while no words are wanted.
        """
        given = self.given if first == self.first else ()
        unheard = min(hearing.revised, len(self.waiting))
        waiting = self.waiting[: len(self.waiting) - unheard] + hearing.words
        right = max(len(given) - (hearing.revised - unheard), 0)
        revised, given = given[right:], given[:right]
        since = tick - RECENT_TICKS if first is None else first
        kept = tuple(word for word in waiting if word.last_tick >= since)
        if first is None:
            return replace(self, waiting=kept, given=given, first=first), revised, ()
        return TurnWords((), given + kept, first), revised, kept
