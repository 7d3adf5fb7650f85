"""The running sentence: its audio, its CTC characters, and its committed words."""

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.ear.hypotheses import Subwords

Array = NDArray[np.float32]
# A tick is quiet when it is 20 dB below the sentence's loudest: the end of a word may be
# that soft, but not for long.
_QUIET: Final = 0.01


@dataclass(frozen=True)
class Word:
    """A committed word: its n-best ``alternatives`` with probabilities, and its ticks."""

    alternatives: tuple[tuple[str, float], ...]
    first_tick: int
    last_tick: int

    @property
    def text(self) -> str:
        """The word as written, punctuation and the space before it included."""
        return self.alternatives[0][0]


@dataclass(frozen=True)
class CommittedWord:
    """A committed word of the running sentence, given out as ``text``; ``opens``: its first."""

    subwords: Subwords
    text: str
    opens: bool
    last_tick: int


@dataclass(frozen=True)
class Sentence:
    """A conversation so far; ``tick`` of it have come through the encoder.

    From tick ``first`` on, of the running sentence or of the last few ticks while nobody is
    ``speaking``: ``pcm`` [1280] each, some ticks more than have come through the encoder;
    ``cross_attention``, keys and values of each tick for the decoder; ``spelled``, the CTC
    characters with their ticks; ``committed``, the words that were given out. ``full_context``:
    keys and values of the full-context pass, while a decode of it is due. ``hypothesis``: the words
    behind the committed ones in the last decode, ``undecoded`` ticks ago. ``quiet``: ticks since
    the last character. ``settled``: tick of the last decode in a pause. ``begun``: some words of
    the sentence were committed. Words said before tick ``final_before`` are final.
    """

    tick: int = 0
    first: int = 0
    pcm: tuple[Array, ...] = ()
    cross_attention: tuple[Array, ...] = ()
    spelled: tuple[tuple[str, int], ...] = ()
    committed: tuple[CommittedWord, ...] = ()
    final_before: int = 0
    full_context: Array | None = None
    hypothesis: tuple[Subwords, ...] = ()
    undecoded: int = 0
    quiet: int = 0
    settled: int = 0
    begun: bool = False
    speaking: bool = False

    @property
    def new_characters(self) -> int:
        """CTC characters since the last committed word."""
        since = self.committed[-1].last_tick if self.committed else self.first - 1
        return sum(tick > since for _, tick in self.spelled)

    @property
    def unsettled(self) -> bool:
        """Whether there are CTC characters since the last decode in a pause."""
        return any(tick >= self.settled for _, tick in self.spelled)

    @property
    def at_start(self) -> bool:
        """Whether the first word behind ``final`` is the first of the sentence."""
        if self.final or not self.committed:
            return not self.begun
        return self.committed[0].opens

    @property
    def final(self) -> tuple[CommittedWord, ...]:
        """The words of the running sentence that are not revised any more."""
        return tuple(word for word in self.committed if word.last_tick < self.final_before)

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
            cross_attention=self.cross_attention[first - self.first :],
            spelled=tuple(pair for pair in self.spelled if pair[1] >= first),
            committed=tuple(word for word in self.committed if word.last_tick >= first),
        )
