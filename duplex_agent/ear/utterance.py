"""The running sentence: its sound, its letters, and which of its words stand."""

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.ear.hypotheses import Pieces

Array = NDArray[np.float32]
# A tick is quiet when it is 20 dB below the sentence's loudest: the last sound of a word may be
# that soft, but not for long.
_QUIET: Final = 0.01


@dataclass(frozen=True)
class Word:
    """A word that stands: ``guesses`` with their shares, the best first, and its ticks."""

    guesses: tuple[tuple[str, float], ...]
    first_tick: int
    last_tick: int

    @property
    def text(self) -> str:
        """The word as written, punctuation and the space before it included."""
        return self.guesses[0][0]


@dataclass(frozen=True)
class Standing:
    """A word of the running sentence that was given out as ``text``; ``opens``: its first one."""

    pieces: Pieces
    text: str
    opens: bool
    last_tick: int


@dataclass(frozen=True)
class Sentence:
    """A conversation so far; ``tick`` of it have come through the encoder.

    From tick ``first`` on, of the running sentence or of the last few ticks while nobody is
    ``speaking``: ``pcm`` [1280] each, some ticks more than have come through the encoder;
    ``sound``, what the decoder needs of each tick; ``spelled``, the letters with their ticks;
    ``standing``, the words that were given out. ``whole``: what the decoder needs of all the sound,
    while a reading of it is due. ``reading``: the words behind those that stand, at the last
    reading, ``unread`` ticks ago. ``quiet``: ticks since the last letter. ``settled``: tick
    in which a pause was read last. ``begun``: some words of the sentence were given out. Words said
    before tick ``committed`` stand for good.
    """

    tick: int = 0
    first: int = 0
    pcm: tuple[Array, ...] = ()
    sound: tuple[Array, ...] = ()
    spelled: tuple[tuple[str, int], ...] = ()
    standing: tuple[Standing, ...] = ()
    committed: int = 0
    whole: Array | None = None
    reading: tuple[Pieces, ...] = ()
    unread: int = 0
    quiet: int = 0
    settled: int = 0
    begun: bool = False
    speaking: bool = False

    @property
    def new_letters(self) -> int:
        """Letters spelled since the last word that stands."""
        since = self.standing[-1].last_tick if self.standing else self.first - 1
        return sum(tick > since for _, tick in self.spelled)

    @property
    def news(self) -> bool:
        """Whether letters were spelled since a pause was read."""
        return any(tick >= self.settled for _, tick in self.spelled)

    @property
    def opening(self) -> bool:
        """Whether the first word behind ``fixed`` is the first of the sentence."""
        if self.fixed or not self.standing:
            return not self.begun
        return self.standing[0].opens

    @property
    def fixed(self) -> tuple[Standing, ...]:
        """The words of the running sentence that stand for good."""
        return tuple(word for word in self.standing if word.last_tick < self.committed)

    @property
    def hush(self) -> int:
        """How many of the last ticks are quiet beside the loudest of the sentence."""
        power = [float(tick @ tick) for tick in self.pcm]
        quiet = _QUIET * max(power, default=0.0)
        return sum(1 for _ in takewhile(lambda p: p < quiet, reversed(power)))

    def last(self, ticks: int) -> "Sentence":
        """All but the last ``ticks`` ticks forgotten."""
        first = max(self.first, self.tick - ticks)
        return replace(
            self,
            first=first,
            pcm=self.pcm[first - self.first :],
            sound=self.sound[first - self.first :],
            spelled=tuple(pair for pair in self.spelled if pair[1] >= first),
            standing=tuple(word for word in self.standing if word.last_tick >= first),
        )
