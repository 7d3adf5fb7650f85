"""The conversation as a list of chat messages: what was understood and what was heard."""

from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ContextFull
from duplex_agent.llm.protocol import Role, TurnPair
from duplex_agent.llm.requests import Edit

Message = dict[str, str]

KEPT_CHARS: Final = 16_000  # about 4,000 tokens: older turns are left out
LONGEST_TURN: Final = 8_000
LONGEST_INSTRUCTIONS: Final = 16_000


class Messages:
    """The record of a conversation whose LLM reads text."""

    def __init__(self, system_prompt: str, kept_chars: int = KEPT_CHARS) -> None:
        self.instructions = system_prompt
        self._kept_chars = kept_chars
        self.pairs: list[TurnPair] = []
        self.user_text = ""
        self.ready = True  # there is nothing to read first
        self._added: list[TurnPair] = []  # text that came during a turn

    @property
    def room(self) -> int:
        """Characters that the open turn may still take."""
        return LONGEST_TURN - len(self.user_text)

    def edits(self) -> list[Edit]:
        """There is no cache to edit."""
        return []

    def hear(self, embeddings: NDArray[np.float32], text: str) -> None:
        """Add what the user's tokens say; the tokens themselves are for a thinker."""
        self.user_text += text

    def revise(self, positions: int, chars: int) -> None:
        """Drop the last ``chars`` characters of the open user turn."""
        self.user_text = self.user_text[: len(self.user_text) - chars]

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        self._close()

    def roll_back(self) -> None:
        """The user's turn is open again; nothing of a reply was written down yet."""

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the turn with what was heard of the reply; the oldest ones make room."""
        self.pairs.append(TurnPair(self.user_text.strip(), heard_text))
        self._close()

    def shorten_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Less of the latest reply was heard than was thought."""
        index = max(i for i, pair in enumerate(self.pairs) if pair.text_of is None)
        self.pairs[index] = replace(self.pairs[index], agent=heard_text)

    def add_pair(self, pair: TurnPair) -> None:
        """A turn of a conversation that began elsewhere."""
        self.pairs.append(pair)
        self._close()

    def set_instructions(self, text: str) -> None:
        """Another system prompt, from the next request on; ContextFull if it is too long."""
        _check_length(text, LONGEST_INSTRUCTIONS)
        self.instructions = text

    def add_text_turn(self, role: Role, text: str) -> None:
        """A message behind the turn in progress; ContextFull if it is too long."""
        waiting = sum(len(turn.user) + len(turn.agent) for turn in self._added)
        _check_length(text, LONGEST_TURN - waiting)
        self._added.append(TurnPair(text, "", role) if role == "user" else TurnPair("", text, role))
        if not self.user_text:
            self._close()

    def prefill(self, budget: int) -> bool:
        """Nothing to do: the end of a turn keeps the list short."""
        return False

    def to_send(self) -> list[Message]:
        """The messages that ask for the reply to the open turn.

        What one side said without an answer goes together: many chat templates refuse two
        messages of one role in a row.
        """
        said = [("system", self.instructions)]
        for pair in self.pairs:
            said += [("user", pair.user), ("assistant", pair.agent)]
        said.append(("user", self.user_text.strip()))
        return [
            {"role": role, "content": "\n".join(text for _, text in texts)}
            for role, texts in groupby((turn for turn in said if turn[1]), key=itemgetter(0))
        ]

    def _close(self) -> None:
        """The turn is over: what was added meanwhile follows, the oldest turns make room."""
        self.user_text = ""
        self.pairs += self._added
        self._added = []
        kept = 0
        for index in reversed(range(len(self.pairs))):
            kept += len(self.pairs[index].user) + len(self.pairs[index].agent)
            if kept > self._kept_chars:
                del self.pairs[: index + 1]
                break


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit:
        raise ContextFull(f"text of {len(text)} characters is too long: at most {limit} fit")
