"""What a conversation needs of a mind: a memory of what was heard, and a writer for each reply.

The tick asks for text and takes what there is; where the text comes from (the thinker in this
process, a language model behind a URL) is the mind's own affair, as long as no call waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Written:
    """A piece of a reply's text; ``hidden`` [n, width] is the thinker's state behind it."""

    text: str
    hidden: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """The part of a reply that reached the listener, ``tokens`` in the writer's own units."""

    tokens: int
    text: str


class Writer(Protocol):
    """Writes the text of one reply."""

    @property
    def text(self) -> str:
        """Everything written so far."""
        ...

    @property
    def done(self) -> bool:
        """No more text will come."""
        ...

    def write(self, budget: int) -> Sequence[Written]:
        """What can be had now, at the cost of at most ``budget`` steps of a thinker; never waits.

        Raises MindError when the rest of the reply cannot be had.
        """
        ...

    def heard(self, chars: int) -> Heard:
        """What the memory should keep when the first ``chars`` characters were voiced."""
        ...

    def cancel(self) -> None:
        """Nobody wants the rest."""
        ...


class Exchanged(Protocol):
    """A finished user turn and the part of the reply that was heard, or one side's text."""

    @property
    def user(self) -> str: ...

    @property
    def agent(self) -> str: ...


class ConversationMemory(Protocol):
    """What was said on both sides.

    The caller's order: ``hear`` and ``take_back`` any number of times, then ``forget_user`` or a
    reply; after the reply ``end_reply`` or ``undo_reply``.
    """

    @property
    def exchanges(self) -> Sequence[Exchanged]:
        """What is remembered, oldest first."""
        ...

    @property
    def user_text(self) -> str:
        """What was understood in the open user turn."""
        ...

    @property
    def room(self) -> int:
        """How much more of the user can be taken in."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a reply may begin; until then ``tidy`` goes on with what comes before it."""
        ...

    def hear(self, embeddings: NDArray[np.float32], text: str) -> None:
        """Add tokens [n, width] of the user and their text; ``tidy`` reads them."""
        ...

    def take_back(self, positions: int, chars: int) -> None:
        """Drop the last ``positions`` tokens of the open user turn, which say its last ``chars``
        characters. Only before a reply.
        """
        ...

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        ...

    def undo_reply(self) -> None:
        """Forget the reply, nothing of which was heard: the user's turn is open again."""
        ...

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the exchange with what was heard of the reply."""
        ...

    def tidy(self, rows: int) -> bool:
        """A bounded piece of upkeep, of at most ``rows`` positions. True when there was some."""
        ...


class Mind(Protocol):
    """One conversation's memory, and who writes its replies."""

    @property
    def memory(self) -> ConversationMemory: ...

    @property
    def thinks_ahead(self) -> bool:
        """Whether a reply may be begun in a pause after which the user may go on: it costs nobody
        anything, and never fails.
        """
        ...

    def begin_reply(self) -> Writer:
        """Hand the turn to the agent."""
        ...

    def set_instructions(self, text: str) -> None:
        """Another system prompt, from the next turn on; ContextFull if it is too long."""
        ...

    def add_text_turn(self, role: Role, text: str) -> None:
        """A turn of text behind the exchange in progress; ContextFull if it is too long."""
        ...
