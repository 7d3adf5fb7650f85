"""The thinker: a causal language model that takes embeddings and keeps its conversation's cache.

A conversation is a `ThinkerState` outside the model: appending n positions extends its cache by n,
truncating is a change of its length, and positions can be taken out or put in before others that
stay. Several conversations may be interleaved on one thinker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ContextFull, ThinkerError

if TYPE_CHECKING:
    from duplex_agent.llm.text_tokenizer import TextTokenizer


@dataclass
class ThinkerState:
    """One conversation: how many positions it holds. Backends add their cache to it."""

    length: int


@dataclass(frozen=True)
class ThinkerStep:
    """What the model says after an append.

    logits: float32 [vocabulary], of the last appended position.
    hidden: float32 [n, width], residual stream after the middle layer, of every appended position.
    """

    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]


class Thinker(Protocol):
    """A loaded language model; its states hold the conversations."""

    width: int
    max_length: int

    @property
    def tokenizer(self) -> "TextTokenizer":
        """Text to ids and back; ThinkerError if the model came without a tokenizer."""
        ...

    def new_state(self) -> ThinkerState:
        """An empty conversation of at most `max_length` positions."""
        ...

    def copy(self, state: ThinkerState) -> ThinkerState:
        """A conversation of its own with the same positions."""
        ...

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Embeddings of token ids, float32 [n, width]; ThinkerError for an id out of range."""
        ...

    def append(self, state: ThinkerState, embeddings: NDArray[np.float32]) -> ThinkerStep:
        """Extend the conversation by n >= 1 positions given as float32 [n, width].

        Raises ContextFull if they do not fit and ThinkerError for a wrong shape or a value that is
        not finite; the conversation is then unchanged.
        """
        ...

    def truncate(self, state: ThinkerState, length: int) -> None:
        """Forget every position from `length` on; ThinkerError unless 0 <= length <= current."""
        ...

    def splice(
        self, state: ThinkerState, start: int, end: int, filling: ThinkerState | None = None
    ) -> None:
        """Put the positions of `filling` (none by default) in the place of start to end - 1.

        What stands behind them moves along and may keep what it made of the positions that went.
        Raises ThinkerError unless 0 <= start <= end <= length, ContextFull if the outcome does not
        fit; the conversation is then unchanged.
        """
        ...


def check_embeddings(
    state: ThinkerState, embeddings: NDArray[np.float32], width: int, max_length: int
) -> NDArray[np.float32]:
    """The embeddings as contiguous float32 if they may be appended; raises as `append` says."""
    rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != width or len(rows) == 0:
        raise ThinkerError(f"embeddings of shape {rows.shape}: the thinker takes [n >= 1, {width}]")
    if not np.isfinite(rows).all():
        raise ThinkerError("embeddings hold NaN or infinity")
    if state.length + len(rows) > max_length:
        raise ContextFull(
            f"the context holds {max_length} positions: {state.length} are used and"
            f" {len(rows)} more do not fit"
        )
    return rows


def check_truncation(state: ThinkerState, length: int) -> None:
    """Raise ThinkerError unless the conversation can be cut to `length` positions."""
    if not 0 <= length <= state.length:
        raise ThinkerError(f"cannot cut a conversation of {state.length} positions to {length}")


def check_splice(
    state: ThinkerState, start: int, end: int, filling: ThinkerState | None, max_length: int
) -> None:
    """Raise as `splice` says."""
    if not 0 <= start <= end <= state.length:
        raise ThinkerError(
            f"no positions {start} to {end} in a conversation of {state.length} to replace"
        )
    length = state.length - (end - start) + (filling.length if filling else 0)
    if length > max_length:
        raise ContextFull(f"the context holds {max_length} positions, not {length}")


def token_ids(ids: Sequence[int], vocabulary: int) -> NDArray[np.int64]:
    """The ids as int64 [n]; ThinkerError for an id that is not in the vocabulary."""
    index = np.asarray(ids, dtype=np.int64).reshape(-1)
    if index.size and (index.min() < 0 or index.max() >= vocabulary):
        raise ThinkerError(f"token ids must be 0 to {vocabulary - 1}")
    return index
