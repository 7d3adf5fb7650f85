"""The cascade's language model: text in, sentences out, the same model that the agent thinks with.

The cache of the conversation stays; a turn only adds to it. After a reply its cache is cut back to
what was heard of it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from duplex_agent.llm.chat import EXAMPLES, SYSTEM_PROMPT, chat_format, is_sentence_end
from duplex_agent.llm.sampling import Sampler, Sampling
from duplex_agent.llm.thinker import Thinker

MAX_REPLY_TOKENS: Final = 60  # both as in the agent's SessionConfig, for equal terms
ENOUGH_TOKENS: Final = 20
MAX_USER_TOKENS: Final = 400
KEPT_TURN_PAIRS: Final = 6  # what stays when the context is full


class ChatLlm:
    """One conversation with the language model. The order is: ``answer``, then ``close``."""

    def __init__(self, thinker: Thinker) -> None:
        self._thinker = thinker
        self.reset(seed=0)

    def reset(self, seed: int, instructions: str = "") -> None:
        """Forget everything; ``instructions`` replace the system prompt."""
        self._chat = chat_format(self._thinker.tokenizer, instructions or SYSTEM_PROMPT, EXAMPLES)
        self._sampler = Sampler(Sampling(), np.random.default_rng(seed))
        self._turn_pairs: list[tuple[str, str]] = []
        self._state = self._thinker.new_state()
        self._append(self._chat.system)
        self._closed = self._state.length  # where the open turn pair begins
        self._asked = self._closed  # where its reply begins

    def answer(self, user: str) -> Iterator[str]:
        """The reply to ``user``, sentence by sentence as they are written."""
        self._thinker.truncate(self._state, self._closed)
        words = self._thinker.tokenizer.encode(user)[:MAX_USER_TOKENS]
        self._make_room(len(words))
        rows = (*self._chat.user_begin, *words, *self._chat.user_end)
        logits = self._append(rows)
        self._asked = self._state.length
        tokens: list[int] = []
        given = 0
        while len(tokens) < MAX_REPLY_TOKENS:
            token = self._sampler.choose(logits, tokens)
            if token in self._chat.stop_ids:
                break
            tokens.append(token)
            logits = self._append([token])
            text = self._thinker.tokenizer.decode(tokens)
            if is_sentence_end(text) and text[given:].strip():
                yield text[given:]
                given = len(text)
                if text.endswith("\n") or len(tokens) >= ENOUGH_TOKENS:
                    return
        rest = self._thinker.tokenizer.decode(tokens)[given:]
        if rest.strip():
            yield rest

    def close(self, user: str, heard: str) -> None:
        """End the turn pair: ``heard`` is the part of the reply that was played."""
        self._thinker.truncate(self._state, self._asked)
        self._append((*self._thinker.tokenizer.encode(heard), *self._chat.assistant_end))
        self._turn_pairs.append((user, heard))
        self._closed = self._asked = self._state.length

    def _append(self, ids: Sequence[int]) -> np.ndarray:
        return self._thinker.append(self._state, self._thinker.embed(ids)).logits

    def _make_room(self, coming: int) -> None:
        """Read the last turn pairs into a fresh cache when the context would overflow."""
        needed = coming + 2 * MAX_REPLY_TOKENS
        while self._state.length + needed > self._thinker.max_length:
            kept = self._turn_pairs[-KEPT_TURN_PAIRS:]
            if len(kept) == len(self._turn_pairs):
                kept = kept[1:]
            self._turn_pairs = []
            self._thinker.truncate(self._state, 0)
            self._append(self._chat.system)
            for user, heard in kept:
                words = self._thinker.tokenizer.encode(user)[:MAX_USER_TOKENS]
                self._append((*self._chat.user_begin, *words, *self._chat.user_end))
                self._asked = self._state.length
                self.close(user, heard)
            self._closed = self._state.length
            if not kept:
                return
