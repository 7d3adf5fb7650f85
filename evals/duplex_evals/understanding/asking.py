"""One turn, one reply, then all is forgotten: the mind of a conversation without floor and mouth.

The layout of the turns, the sampler and the limits of a reply are those of a conversation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.thinker_mind import ThinkerMind
from duplex_agent.model.flow_omni import HeardToken
from duplex_agent.model.thinker import Thinker

_TOKENS_AT_ONCE: Final = 8


@dataclass(frozen=True)
class WrittenToken:
    """A token of text in the place of a heard one."""

    embedding: NDArray[np.float32]
    piece: str
    heard: bool = True


class Asker:
    """Gives the reply to a single turn, the first of a conversation."""

    def __init__(self, thinker: Thinker, config: SessionConfig) -> None:
        self._thinker = thinker
        self._config = config
        self._mind = ThinkerMind(thinker, config, seed=0)

    def reply(self, tokens: Iterable[HeardToken]) -> str:
        """The reply to a turn of ``tokens``; "" when there is none to reply to.

        As in a conversation, what leaves no room for a reply is not listened to.
        """
        memory = self._mind.memory
        for token in tokens:
            if memory.room >= self._config.reply_positions:
                memory.hear(token.embedding, token.piece)
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
        pieces = [tokenizer.decode([i]) for i in ids]
        rows = self._thinker.embed(ids)
        return self.reply(WrittenToken(r, p) for r, p in zip(rows, pieces, strict=True))
