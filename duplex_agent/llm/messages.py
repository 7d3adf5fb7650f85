"""The conversation as a list of chat messages: what was understood and what was heard."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Message = dict[str, str]

KEPT_CHARS: Final = 16_000  # about 4,000 tokens: older exchanges are left out
LONGEST_TURN: Final = 8_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished user turn with the part of the reply that was heard."""

    user: str
    agent: str


class Messages:
    """The memory of a conversation whose mind reads text."""

    def __init__(self, system_prompt: str, kept_chars: int = KEPT_CHARS) -> None:
        self._system_prompt = system_prompt
        self._kept_chars = kept_chars
        self.exchanges: list[Exchange] = []
        self.user_text = ""

    @property
    def room(self) -> int:
        """Characters that the open turn may still take."""
        return LONGEST_TURN - len(self.user_text)

    def hear(self, embedding: NDArray[np.float32], piece: str) -> None:
        """Add the text of one token of the user."""
        self.user_text += piece

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        self.user_text = ""

    def undo_reply(self) -> None:
        """The user's turn is open again; nothing of a reply was written down yet."""

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the exchange with what was heard of the reply; the oldest ones make room."""
        self.exchanges.append(Exchange(self.user_text.strip(), heard_text))
        self.user_text = ""
        kept = 0
        for index in reversed(range(len(self.exchanges))):
            kept += len(self.exchanges[index].user) + len(self.exchanges[index].agent)
            if kept > self._kept_chars:
                del self.exchanges[: index + 1]
                break

    def tidy(self, rows: int) -> bool:
        """Nothing to do: ``end_reply`` keeps the list short."""
        return False

    def to_send(self) -> list[Message]:
        """The messages that ask for the reply to the open turn.

        A turn that was not answered goes together with the next one: many chat templates refuse
        two user messages in a row.
        """
        messages = [_message("system", self._system_prompt)] if self._system_prompt else []
        asked: list[str] = []
        for exchange in self.exchanges:
            asked.append(exchange.user)
            if exchange.agent:
                messages += [_message("user", "\n".join(asked))]
                messages += [_message("assistant", exchange.agent)]
                asked = []
        return [*messages, _message("user", "\n".join([*asked, self.user_text.strip()]))]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
