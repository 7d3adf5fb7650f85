"""The conversation as a list of chat messages: what was understood and what was heard."""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ContextFull
from duplex_agent.llm.mind import Role

Message = dict[str, str]

KEPT_CHARS: Final = 16_000  # about 4,000 tokens: older exchanges are left out
LONGEST_TURN: Final = 8_000
LONGEST_INSTRUCTIONS: Final = 16_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished user turn with the part of the reply that was heard, or one side's text."""

    user: str
    agent: str


class Messages:
    """The memory of a conversation whose mind reads text."""

    def __init__(self, system_prompt: str, kept_chars: int = KEPT_CHARS) -> None:
        self._system_prompt = system_prompt
        self._kept_chars = kept_chars
        self.exchanges: list[Exchange] = []
        self.user_text = ""
        self.ready = True  # there is nothing to read first
        self._added: list[Exchange] = []  # text that came during an exchange

    @property
    def room(self) -> int:
        """Characters that the open turn may still take."""
        return LONGEST_TURN - len(self.user_text)

    def hear(self, embeddings: NDArray[np.float32], text: str) -> None:
        """Add what the user's tokens say; the tokens themselves are for a thinker."""
        self.user_text += text

    def take_back(self, positions: int, chars: int) -> None:
        """Drop the last ``chars`` characters of the open user turn."""
        self.user_text = self.user_text[: len(self.user_text) - chars]

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        self._close()

    def undo_reply(self) -> None:
        """The user's turn is open again; nothing of a reply was written down yet."""

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the exchange with what was heard of the reply; the oldest ones make room."""
        self.exchanges.append(Exchange(self.user_text.strip(), heard_text))
        self._close()

    def set_instructions(self, text: str) -> None:
        """Another system prompt, from the next request on; ContextFull if it is too long."""
        _check_length(text, LONGEST_INSTRUCTIONS)
        self._system_prompt = text

    def add_text_turn(self, role: Role, text: str) -> None:
        """A message behind the exchange in progress; ContextFull if it is too long."""
        waiting = sum(len(turn.user) + len(turn.agent) for turn in self._added)
        _check_length(text, LONGEST_TURN - waiting)
        self._added.append(Exchange(text, "") if role == "user" else Exchange("", text))
        if not self.user_text:
            self._close()

    def tidy(self, rows: int) -> bool:
        """Nothing to do: the end of an exchange keeps the list short."""
        return False

    def to_send(self) -> list[Message]:
        """The messages that ask for the reply to the open turn.

        What one side said without an answer goes together: many chat templates refuse two
        messages of one role in a row.
        """
        said = [("system", self._system_prompt)]
        for exchange in self.exchanges:
            said += [("user", exchange.user), ("assistant", exchange.agent)]
        said.append(("user", self.user_text.strip()))
        return [
            {"role": role, "content": "\n".join(text for _, text in texts)}
            for role, texts in groupby((turn for turn in said if turn[1]), key=itemgetter(0))
        ]

    def _close(self) -> None:
        """The exchange is over: what was added meanwhile follows, the oldest turns make room."""
        self.user_text = ""
        self.exchanges += self._added
        self._added = []
        kept = 0
        for index in reversed(range(len(self.exchanges))):
            kept += len(self.exchanges[index].user) + len(self.exchanges[index].agent)
            if kept > self._kept_chars:
                del self.exchanges[: index + 1]
                break


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit:
        raise ContextFull(f"text of {len(text)} characters is too long: at most {limit} fit")
