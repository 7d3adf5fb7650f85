"""What an ear says after each tick: the words that became certain, and whether any are pending."""

from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

LOOK_AHEADS: Final = (1, 2, 4)
"""Ticks that an ear may be told to hear ahead: more is later and more exact."""
DEFAULT_LOOK_AHEAD: Final = 4
TokenKind = Literal["words", "12.5hz", "6.25hz"]
"""What the thinker is told: embeddings of the words as spelled, or the neural adapter's tokens."""
DEFAULT_TOKENS: Final = "words"


@dataclass(frozen=True)
class HeardWord:
    """A word of the user.

    ``embeddings`` float32 [n, width], n >= 1: continuous tokens in the thinker's embedding space.
    ``text``: its likeliest spelling with the space before it. It was said from ``first_tick`` to
    ``last_tick``, counted from the conversation's first tick.
    """

    embeddings: NDArray[np.float32]
    text: str
    first_tick: int
    last_tick: int


@dataclass(frozen=True)
class Hearing:
    """One tick's words. ``settled``: nothing that was said so far waits for more sound.

    ``taken_back``: of the words given out before, the last so many were misheard; ``words`` stand
    in their place.
    """

    words: tuple[HeardWord, ...] = ()
    settled: bool = True
    taken_back: int = 0


class Ear(Protocol):
    """Sound to words in continuous tokens, ``look_ahead_ticks`` and more after they were said."""

    @property
    def look_ahead_ticks(self) -> int: ...

    def new_state(self) -> Any: ...

    def step(self, state: Any, pcm: NDArray[np.float32]) -> Hearing:
        """Take a tick [1280], give the words that are certain now and were not before."""
        ...

    def commit(self, state: Any) -> None:
        """What was given out is being answered: none of it can be taken back any more."""
        ...


def follow(words: list[HeardWord], hearing: Hearing) -> None:
    """Bring ``words``, all that an ear has given so far, up to date."""
    del words[len(words) - hearing.taken_back :]
    words += hearing.words
