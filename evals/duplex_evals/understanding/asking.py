"""One turn, one reply, then all is forgotten: the mind of a conversation without floor and mouth.

The layout of the turns, the sampler and the limits of a reply are those of a conversation.
"""

from collections.abc import Iterable
from typing import Final

from duplex_agent.ear.hearing import HeardWord
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker import Thinker
from duplex_agent.llm.thinker_mind import ThinkerMind

_TOKENS_AT_ONCE: Final = 8


class Asker:
    """Gives the reply to a single turn, the first of a conversation."""

    def __init__(self, thinker: Thinker, settings: LlmSettings) -> None:
        self._thinker = thinker
        self._settings = settings
        self._mind = ThinkerMind(thinker, settings, seed=0)

    def reply(self, words: Iterable[HeardWord]) -> str:
        """The reply to a turn of ``words``; "" when there is none to reply to.

        As in a conversation, what leaves no room for a reply is not listened to.
        """
        memory = self._mind.memory
        for word in words:
            if memory.room >= self._settings.reply_positions:
                memory.hear(word.embeddings, word.text)
        if not memory.user_text.strip():
            memory.forget_user()
            return ""
        writer = self._mind.begin_reply()
        while not writer.done:
            writer.write(_TOKENS_AT_ONCE)
        memory.undo_reply()
        memory.forget_user()
        return writer.text.strip()

    def reply_to_text(self, text: str) -> str:
        """The reply to a written turn."""
        tokenizer = self._thinker.tokenizer
        ids = tokenizer.encode(text)
        rows = self._thinker.embed(ids)
        return self.reply(
            HeardWord(rows[i : i + 1], tokenizer.decode([id_]), i, i) for i, id_ in enumerate(ids)
        )
