"""The mind in this process: the thinker's cache remembers, the thinker writes."""

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.memory import Memory
from duplex_agent.duplex.mind import Heard, Written
from duplex_agent.model.chat import chat_format, is_sentence_end
from duplex_agent.model.sampling import Sampler
from duplex_agent.model.text_tokenizer import TextTokenizer
from duplex_agent.model.thinker import Thinker

HALF_CHARACTER = "\ufffd"  # what a tokenizer gives for the first bytes of a longer character


class ThinkerMind:
    """A conversation with the language model of this process."""

    def __init__(self, thinker: Thinker, config: SessionConfig, seed: int) -> None:
        self._tokenizer = thinker.tokenizer
        self._config = config
        self._chat = chat_format(thinker.tokenizer, config.system_prompt, config.examples)
        self._sampler = Sampler(config.sampling, np.random.default_rng(seed))
        self.memory = Memory(
            thinker,
            self._chat,
            compact_at=int(config.compact_at * thinker.max_length),
            compact_to=int(config.compact_to * thinker.max_length),
            exchange=config.exchange_positions,
        )

    def begin_reply(self) -> "ThinkerWriter":
        """Open the agent's turn in the memory."""
        stop_ids = self._chat.stop_ids
        return ThinkerWriter(self.memory, self._tokenizer, stop_ids, self._sampler, self._config)


class ThinkerWriter:
    """Writes a reply token by token; a step of its budget is one token."""

    def __init__(
        self,
        memory: Memory,
        tokenizer: TextTokenizer,
        stop_ids: frozenset[int],
        sampler: Sampler,
        config: SessionConfig,
    ) -> None:
        self._memory = memory
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._sampler = sampler
        self._config = config
        self._logits = memory.begin_reply().logits
        self._tokens: list[int] = []
        self._ends: list[int] = []  # characters of the text after each token
        self._waiting: list[NDArray[np.float32]] = []  # hidden rows of tokens not yet written
        self.text = ""
        self.done = False

    def write(self, budget: int) -> list[Written]:
        """At most ``budget`` tokens."""
        pieces: list[Written] = []
        for _ in range(budget):
            if self.done:
                break
            pieces += self._next_token()
        return pieces

    def heard(self, chars: int) -> Heard:
        """Whole tokens within the first ``chars`` characters."""
        tokens = sum(end <= chars for end in self._ends)
        return Heard(tokens, self.text[: self._ends[tokens - 1]].strip() if tokens else "")

    def cancel(self) -> None:
        """Nothing runs between two calls of ``write``."""
        self.done = True

    def _next_token(self) -> list[Written]:
        token = self._sampler.choose(self._logits, self._tokens)
        if token in self._stop_ids or not self._memory.reply_fits:
            self.done = True
            return []
        step = self._memory.say(token)
        self._logits = step.logits
        self._tokens.append(token)
        self._waiting.append(step.hidden)
        written = self._tokenizer.decode(self._tokens)
        pieces = []
        if not written.endswith(HALF_CHARACTER):
            pieces.append(Written(written[len(self.text) :], np.concatenate(self._waiting)))
            self._waiting = []
            self.text = written
        self._ends.append(len(self.text))
        self.done = len(self._tokens) >= self._config.max_reply_tokens or self._said_enough()
        return pieces

    def _said_enough(self) -> bool:
        """A line ended, or a sentence after enough tokens."""
        ended = is_sentence_end(self.text)
        return ended and (
            self.text.endswith("\n") or len(self._tokens) >= self._config.enough_tokens
        )
