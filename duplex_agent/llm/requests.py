"""What a conversation asks of an LLM: edits of its cache, the next token, text from elsewhere.

Requests are data. Who plans them never calls a network; who executes them knows no conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.llm.sampling import Sampler
from duplex_agent.llm.thinker import ThinkerState

Rows = tuple[int, ...] | NDArray[np.float32]
"""Positions to append: token ids, or embeddings [n, width]."""


@dataclass(eq=False, slots=True)
class Cache:
    """A handle of one conversation's cache; ``state`` belongs to the executor."""

    state: ThinkerState | None = None
    logits: NDArray[np.float32] | None = None  # of its last position


@dataclass(frozen=True, slots=True)
class Fork:
    """Begin ``cache`` as what ``ids`` make of an empty one; a prefix read before is copied."""

    cache: Cache
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """Read ``rows``, in order, at the end of the cache."""

    cache: Cache
    rows: tuple[Rows, ...]


@dataclass(frozen=True, slots=True)
class Truncate:
    """Forget every position from ``length`` on."""

    cache: Cache
    length: int


@dataclass(frozen=True, slots=True)
class Splice:
    """Put the positions of ``filling`` (none by default) in the place of start to end - 1."""

    cache: Cache
    start: int
    end: int
    filling: Cache | None = None


Edit = Fork | Append | Truncate | Splice


@dataclass(frozen=True, slots=True)
class Decode:
    """Choose the next token and append it, unless it is one of ``stop_ids``. Gives `Decoded`.

    ``used`` and ``continued`` are the penalised tokens, as in `Sampler.choose`.
    """

    cache: Cache
    sampler: Sampler
    used: Sequence[int] = ()
    continued: frozenset[int] = field(default_factory=frozenset)
    stop_ids: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A token, and the thinker's state [1, width] behind it unless it ended the text."""

    token: int
    hidden: NDArray[np.float32] | None = None


class TextStream(Protocol):
    """A reply that is written elsewhere and arrives in deltas."""

    def take(self, until_ms: int, wait: bool) -> str:
        """The text that arrived within ``until_ms`` of the request and was not taken yet.

        ``wait``: stay until so much time has passed, where the clock is not the real one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Receive:
    """Take what has arrived ``waited_ms`` after the request, in time of the session.

    A pending answer is an empty text: the tick goes on.
    """

    stream: TextStream
    waited_ms: int


LlmRequest = Edit | Decode | Receive
