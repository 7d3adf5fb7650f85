"""What an ear says after each tick: the committed words, and whether any are pending."""

from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

LOOK_AHEADS: Final = (1, 2, 4)
"""Look-aheads of an ear in ticks: more is later and more exact."""
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
    """The words committed in one tick. ``settled``: none that was said so far waits for more audio.

    ``revised``: so many of the last words committed before are replaced by ``words``.
    """

    words: tuple[HeardWord, ...] = ()
    settled: bool = True
    revised: int = 0


class Ear(Protocol):
    """Audio to words in continuous tokens, ``look_ahead_ticks`` or more after they were said."""

    @property
    def look_ahead_ticks(self) -> int: ...

    def new_state(self) -> Any: ...

    def step(self, state: Any, pcm: NDArray[np.float32]) -> Hearing:
        """Take a tick [1280], give the newly committed words."""
        ...

    def finalize(self, state: Any) -> None:
        """The committed words are being answered: they are final."""
        ...


def follow(words: list[HeardWord], hearing: Hearing) -> None:
    """Bring ``words``, all that an ear has committed so far, up to date."""
    del words[len(words) - hearing.revised :]
    words += hearing.words
