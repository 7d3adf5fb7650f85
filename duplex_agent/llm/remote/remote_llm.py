"""An LLM elsewhere: messages go to a chat endpoint, its text comes back as it is written."""

from collections.abc import Generator
from typing import Any, Final

from duplex_agent.errors import LlmError
from duplex_agent.llm.protocol import Heard, Role, TurnPair, Written
from duplex_agent.llm.remote.client import ChatClient, ChatStream
from duplex_agent.llm.remote.messages import Messages
from duplex_agent.llm.requests import LlmRequest, Receive
from duplex_agent.llm.settings import LlmSettings

LONGEST_REPLY: Final = 2_000  # characters: more than two minutes of speech


class RemoteLlm:
    """One conversation with the language model that ``client`` asks."""

    speculates = False  # somebody pays for every request

    def __init__(self, client: ChatClient, settings: LlmSettings) -> None:
        """The settings' example turn pairs are for a small model and are not sent."""
        self._client = client
        self.record = Messages(settings.system_prompt)

    def begin_reply(self) -> "RemoteGeneration":
        """Send the request; does not wait for anything."""
        return RemoteGeneration(self._client.ask(self.record.to_send()))

    @property
    def instructions(self) -> str:
        """The system message from the next reply on."""
        return self.record.instructions

    def set_instructions(self, text: str) -> None:
        """Another system message, from the next reply on; ContextFull if it is too long."""
        self.record.set_instructions(text)

    def add_text_turn(self, role: Role, text: str) -> None:
        """A message behind the turn in progress; ContextFull if it is too long."""
        self.record.add_text_turn(role, text)

    def add_pair(self, pair: TurnPair) -> None:
        """A turn of a conversation that began elsewhere."""
        self.record.add_pair(pair)


class RemoteGeneration:
    """Gives out a streamed reply in whole words: half a word could be neither said nor unsaid."""

    def __init__(self, stream: ChatStream, longest: int = LONGEST_REPLY) -> None:
        self._stream = stream
        self._longest = longest
        self._tail = ""  # the beginning of a word
        self.text = ""
        self.done = False

    def write(self, budget: int, waited_ms: int) -> Generator[LlmRequest, Any, list[Written]]:
        """The words that have arrived, single spaces between them; they cost no thinker's step.

        Raises LlmError when the reply failed and the words before the failure are given out.
        """
        if self.done:
            return []
        text = self._tail + (yield Receive(self._stream, waited_ms))
        ended, failure = self._stream.ended, self._stream.failure
        end = len(text) if ended and failure is None else _end_of_words(text)
        new = "".join(f"{word} " for word in text[:end].split())
        self._tail = text[end:]
        if failure is not None and not new:
            raise failure
        self.done = ended and failure is None
        if len(self.text) + len(new) + len(self._tail) > self._longest:
            new = new[: new.rfind(" ", 0, self._longest - len(self.text)) + 1]
            self.cancel()
        self.text += new
        if self.done and not self.text:
            raise LlmError("the language model wrote no words: look at its settings")
        return [Written(new)] if new else []

    def heard(self, chars: int) -> Heard:
        """The text as it was voiced, counted in words."""
        text = self.text[:chars].strip()
        return Heard(len(text.split()), text)

    def cancel(self) -> None:
        """Close the connection, so that the model stops writing."""
        self._stream.cancel()
        self.done = True


def _end_of_words(text: str) -> int:
    """Where the last white space ends: what stands before it are whole words."""
    return len(text) - len(text.split()[-1]) if text and not text[-1].isspace() else len(text)
