"""What a conversation needs of an LLM: a record of what was heard, and the text of each reply.

Where the text comes from (the thinker of this process, a model behind a URL) is the LLM's own
affair. It plans and never computes: what must be done leaves as requests (`requests.py`).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.llm.requests import Edit, LlmRequest

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class TurnPair:
    """A user turn and the part of the reply that was heard, or one side's turn of text.

    ``text_of``: whose text it is, None for speech.
    """

    user: str
    agent: str
    text_of: Role | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A part of a reply's text; ``hidden`` [n, width] is the thinker's state behind it."""

    text: str
    hidden: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """The part of a reply that reached the listener, ``tokens`` in the generation's own units."""

    tokens: int
    text: str


class Generation(Protocol):
    """The text of one reply while it is written."""

    @property
    def text(self) -> str:
        """Everything written so far."""
        ...

    @property
    def done(self) -> bool:
        """No more text will come."""
        ...

    def write(self, budget: int, waited_ms: int) -> Generator[LlmRequest, Any, list[Written]]:
        """What can be had now, for at most ``budget`` tokens of a thinker; a generator of requests.

        ``waited_ms``: time of the session since the reply began. Raises LlmError when the rest of
        the reply cannot be had.
        """
        ...

    def heard(self, chars: int) -> Heard:
        """What the record should keep when the first ``chars`` characters were voiced."""
        ...

    def cancel(self) -> None:
        """Nobody wants the rest."""
        ...


class Record(Protocol):
    """What was said on both sides.

    The caller's order: ``hear`` and ``revise`` any number of times, then ``forget_user`` or a
    reply; after the reply ``end_reply`` or ``roll_back``.
    """

    @property
    def pairs(self) -> Sequence[TurnPair]:
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
        """Whether a reply may begin; until then ``prefill`` goes on with what comes before it."""
        ...

    def edits(self) -> list[Edit]:
        """What must be done to a cache since the last call, in order."""
        ...

    def hear(self, embeddings: NDArray[np.float32], text: str) -> None:
        """Add tokens [n, width] of the user and their text; ``prefill`` reads them."""
        ...

    def revise(self, positions: int, chars: int) -> None:
        """Drop the last ``positions`` tokens of the open user turn, which say its last ``chars``
        characters. Only before a reply.
        """
        ...

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        ...

    def roll_back(self) -> None:
        """Forget the reply, nothing of which was heard: the user's turn is open again."""
        ...

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the turn with what was heard of the reply."""
        ...

    def shorten_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Cut the latest closed reply to what was heard of it after all."""
        ...

    def prefill(self, budget: int) -> bool:
        """A bounded amount of upkeep, of at most ``budget`` positions. True when there was some."""
        ...


class Llm(Protocol):
    """One conversation's record, and who writes its replies."""

    @property
    def record(self) -> Record: ...

    @property
    def speculates(self) -> bool:
        """Whether a reply may be begun in a pause after which the user may go on: it costs nobody
        anything, and never fails.
        """
        ...

    @property
    def instructions(self) -> str:
        """The system prompt from the next turn on."""
        ...

    def begin_reply(self) -> Generation:
        """Hand the turn to the agent."""
        ...

    def set_instructions(self, text: str) -> None:
        """Another system prompt, from the next turn on; ContextFull if it is too long."""
        ...

    def add_text_turn(self, role: Role, text: str) -> None:
        """A turn of text behind the turn in progress; ContextFull if it is too long."""
        ...

    def add_pair(self, pair: TurnPair) -> None:
        """A turn of a conversation that began elsewhere; older ones may give way."""
        ...
