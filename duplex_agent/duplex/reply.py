"""One reply: text from the thinker, sound from the voice, and what of it was heard."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.memory import Memory
from duplex_agent.model.chat import is_sentence_end
from duplex_agent.model.flow_omni import SpeechStream
from duplex_agent.model.sampling import Sampler
from duplex_agent.model.text_tokenizer import TextTokenizer

HALF_CHARACTER = "\ufffd"  # what a tokenizer gives for the first bytes of a longer character


@dataclass(frozen=True, slots=True)
class Heard:
    """The part of a reply that reached the listener."""

    tokens: int
    text: str


class Reply:
    """A reply from its first token to its last sound.

    Each tick: ``think`` (bounded), then ``speak``. ``fade`` ends the voice early. The
    history needs ``heard``: which tokens had been voiced when so much of the sound was played.
    """

    def __init__(
        self,
        memory: Memory,
        tokenizer: TextTokenizer,
        stop_ids: frozenset[int],
        sampler: Sampler,
        stream: SpeechStream,
        config: SessionConfig,
    ) -> None:
        """Opens the agent's turn in ``memory``."""
        self._memory = memory
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._sampler = sampler
        self._stream = stream
        self._config = config
        self._logits = memory.begin_reply().logits
        self._tokens: list[int] = []
        self._ends: list[int] = []  # characters of the text after each token
        self._waiting: list[NDArray[np.float32]] = []  # hidden rows of tokens not yet written
        self._voiced: list[int] = []  # characters voiced by the end of each tick of sound
        self.text = ""
        self.thought = False  # no more text will come
        self.speaking = False  # the voice has begun
        self.first_tick = 0  # the session's tick with the first 80 ms of the voice
        self.over = False

    def think(self) -> str:
        """Write the next tokens; the answer is the new text (may be empty)."""
        budget = (
            self._config.tokens_per_tick if self.speaking else self._config.first_tokens_per_tick
        )
        before = len(self.text)
        for _ in range(budget):
            if self.thought:
                break
            self._next_token()
        return self.text[before:]

    def speak(self, tick: int) -> NDArray[np.float32]:
        """The voice's [1920] for this tick of the session, silent until a word is ready."""
        if not self._voiced:
            self.first_tick = tick
        spoken = self._stream.tick()
        self._voiced.append(spoken.chars_spoken)
        self.speaking = self.speaking or bool(spoken.pcm.any())
        self.over = spoken.done
        return spoken.pcm

    def fade(self) -> NDArray[np.float32]:
        """Stop the voice: its last tick [1920], faded out in 10 ms."""
        self._stream.stop()
        return self._stream.tick().pcm

    @property
    def token_count(self) -> int:
        """Tokens written, spoken or not."""
        return len(self._tokens)

    def voiced(self, played_ms: int | None = None) -> str:
        """The whole words voiced by now, or by session time ``played_ms``."""
        if played_ms is None:
            count = len(self._voiced)
        else:
            count = min(max(played_ms // TICK_MS - self.first_tick, 0), len(self._voiced))
        chars = self._voiced[count - 1] if count else 0
        return self.text[: self._whole_words(chars)]

    def heard(self, played_ms: int | None = None) -> Heard:
        """What the history should keep if the sound ended at session time ``played_ms``."""
        text = self.voiced(played_ms)
        tokens = sum(end <= len(text) for end in self._ends)
        return Heard(tokens, self.text[: self._ends[tokens - 1]].strip() if tokens else "")

    def _next_token(self) -> None:
        token = self._sampler.choose(self._logits, self._tokens)
        if token in self._stop_ids or not self._memory.reply_fits:
            self._finish()
            return
        step = self._memory.say(token)
        self._logits = step.logits
        self._tokens.append(token)
        self._waiting.append(step.hidden)
        written = self._tokenizer.decode(self._tokens)
        if not written.endswith(HALF_CHARACTER):
            self._write(written[len(self.text) :])
        self._ends.append(len(self.text))
        if len(self._tokens) >= self._config.max_reply_tokens or self._said_enough():
            self._finish()

    def _write(self, text: str) -> None:
        self._stream.write(text, np.concatenate(self._waiting))
        self._waiting = []
        self.text += text

    def _said_enough(self) -> bool:
        """A line ended, or a sentence after enough tokens."""
        ended = is_sentence_end(self.text)
        return ended and (
            self.text.endswith("\n") or len(self._tokens) >= self._config.enough_tokens
        )

    def _finish(self) -> None:
        self.thought = True
        self._stream.finish()

    def _whole_words(self, chars: int) -> int:
        """The longest start of the text that ends with a word and has at most ``chars``."""
        if chars >= len(self.text.rstrip()) and self.thought:
            return len(self.text)
        return max(self.text.rfind(" ", 0, chars + 1), 0)
