"""One turn, one reply, then all is dropped: the LLM of a conversation without floor and mouth.

The layout of the turns, the sampler and the limits of a reply are those of a conversation.
"""

from collections.abc import Generator, Iterable
from typing import Any, Final

from duplex_agent.ear.hearing import HeardWord
from duplex_agent.engine.executor import ThinkerExecutor
from duplex_agent.engine.run import run_one
from duplex_agent.llm.protocol import Generation
from duplex_agent.llm.requests import LlmRequest
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker import Thinker
from duplex_agent.llm.thinker_llm import ThinkerLlm

_TOKENS_AT_ONCE: Final = 8


class Asker:
    """Gives the reply to a single turn, the first of a conversation."""

    def __init__(self, thinker: Thinker, settings: LlmSettings) -> None:
        self._thinker = thinker
        self._settings = settings
        self._llm = ThinkerLlm(thinker, settings, seed=0)
        self._executor = ThinkerExecutor(thinker)

    def reply(self, words: Iterable[HeardWord]) -> str:
        """The reply to a turn of ``words``; "" when there is none to reply to.

        As in a conversation, what leaves no room for a reply is not listened to.
        """
        record = self._llm.record
        for word in words:
            if record.room >= self._settings.reply_positions:
                record.hear(word.embeddings, word.text)
        if not record.user_text.strip():
            record.forget_user()
            return ""
        generation = self._llm.begin_reply()
        run_one(self._write(generation), self._executor)
        record.roll_back()
        record.forget_user()
        return generation.text.strip()

    def _write(self, generation: Generation) -> Generator[LlmRequest, Any, None]:
        yield from self._llm.record.edits()
        while not generation.done:
            yield from generation.write(_TOKENS_AT_ONCE, waited_ms=0)

    def reply_to_text(self, text: str) -> str:
        """The reply to a written turn."""
        tokenizer = self._thinker.tokenizer
        ids = tokenizer.encode(text)
        rows = self._thinker.embed(ids)
        return self.reply(
            HeardWord(rows[i : i + 1], tokenizer.decode([id_]), i, i) for i, id_ in enumerate(ids)
        )
