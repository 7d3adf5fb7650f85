"""Which of the ear's words belong to the open user turn.

Words wait while nobody wants them: a turn that is recognised late, over a reply say, still gets its
first words.
"""

from duplex_agent.ear.hearing import HeardWord, Hearing

RECENT_TICKS = 20


class TurnWords:
    """The words that wait, and those given to the turn, for the ear may take words back."""

    def __init__(self) -> None:
        self._waiting: list[HeardWord] = []
        self._given: list[HeardWord] = []
        self._first: int | None = None

    def sort(
        self, hearing: Hearing, first: int | None, tick: int
    ) -> tuple[list[HeardWord], list[HeardWord]]:
        """Words of the turn that were misheard, and those that follow what is left of it.

        ``first``: the tick in which the turn begins, None while no words are wanted.
        """
        if first != self._first:
            self._first, self._given = first, []
        unheard = min(hearing.taken_back, len(self._waiting))
        del self._waiting[len(self._waiting) - unheard :]
        right = max(len(self._given) - (hearing.taken_back - unheard), 0)
        misheard, self._given = self._given[right:], self._given[:right]
        self._waiting += hearing.words
        since = tick - RECENT_TICKS if first is None else first
        kept = [word for word in self._waiting if word.last_tick >= since]
        if first is None:
            self._waiting = kept
            return misheard, []
        self._waiting = []
        self._given += kept
        return misheard, kept
