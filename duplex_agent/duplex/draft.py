"""A draft: the text and voice of a reply of which nobody has heard everything yet.

It ends in one of two ways: ``commit`` closes the turn in the record with what was heard, and
``roll_back`` leaves no trace of it.
"""

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.requests import Render, Request
from duplex_agent.errors import LlmError
from duplex_agent.llm.protocol import Heard, Llm
from duplex_agent.voice.protocol import SpeechStream


class Draft:
    """A reply from its first token to its last sound.

    Each tick: ``think`` (bounded), and once the floor is the agent's ``speak``. A text that breaks
    off leaves ``problem``, and what was written before is still spoken.
    """

    def __init__(
        self, llm: Llm, stream: SpeechStream, config: SessionConfig, begun_ms: int
    ) -> None:
        """``begun_ms``: session time."""
        self._record = llm.record
        self._generation = llm.begin_reply()
        self._stream = stream
        self._config = config
        self._begun_ms = begun_ms
        self._voiced: list[int] = []  # characters voiced by the end of each tick of sound
        self._reported = 0  # characters of the text that were given out as text
        self._spoken = 0  # and as spoken
        self._left_out = 0  # words that were reported as left out
        self._written = False  # no more text will come
        self.problem = ""  # why the text ended before its end
        self.speaking = False  # the voice has begun
        self.first_tick = 0  # the session's tick with the first 80 ms of the voice
        self.over = False

    @property
    def text(self) -> str:
        """What is written so far."""
        return self._generation.text

    def think(self, now_ms: int) -> Generator[Request, Any, None]:
        """Write on, as far as this tick allows."""
        if self._written:
            return
        config = self._config
        budget = config.tokens_per_tick if self.speaking else config.first_tokens_per_tick
        try:
            for piece in (yield from self._generation.write(budget, now_ms - self._begun_ms)):
                self._stream.write(piece.text, piece.hidden)
        except LlmError as error:
            self.problem = str(error)
        self._written = self._generation.done or bool(self.problem)
        if self._written:
            self._stream.finish()

    def speak(self, tick: int) -> Generator[Request, Any, NDArray[np.float32]]:
        """The voice's [1920] for this tick of the session, silent until a word is ready."""
        if not self._voiced:
            self.first_tick = tick
        spoken = yield Render(self._stream)
        self._voiced.append(spoken.chars_spoken)
        self.speaking = self.speaking or bool(spoken.pcm.any())
        self.over = spoken.done
        pcm: NDArray[np.float32] = spoken.pcm
        return pcm

    def fade(self) -> Generator[Request, Any, NDArray[np.float32]]:
        """Stop the voice: its last tick [1920], faded out in 10 ms."""
        self._stream.stop()
        spoken = yield Render(self._stream)
        pcm: NDArray[np.float32] = spoken.pcm
        return pcm

    def commit(self, heard: Heard) -> None:
        """The turn is closed: no more text is wanted, and so much of it was heard."""
        if not self._written:
            self._generation.cancel()
        self._record.end_reply(heard.tokens, heard.text)

    def roll_back(self) -> None:
        """Nothing of it was heard: the user's turn is open again."""
        self._generation.cancel()
        self._record.roll_back()

    def cancel(self) -> None:
        """The conversation is over: no more text is wanted."""
        self._generation.cancel()

    def heard(self, played_ms: int | None = None) -> Heard:
        """What was heard if the sound ended at session time ``played_ms``; None: all of it."""
        chars = len(self.text) if played_ms is None else len(self._voiced_text(played_ms))
        return self._generation.heard(chars)

    def new_text(self) -> str:
        """What was written since the last call."""
        text = self.text[self._reported :]
        self._reported += len(text)
        return text

    def new_speech(self) -> str:
        """The whole words voiced since the last call."""
        text = self._voiced_text()[self._spoken :]
        self._spoken += len(text)
        return text

    def left_out(self) -> list[str]:
        """Words that the voice has passed over since the last call: it cannot say them."""
        words = self._stream.left_out[self._left_out :]
        self._left_out += len(words)
        return words

    def _voiced_text(self, played_ms: int | None = None) -> str:
        """The whole words voiced by now, or by session time ``played_ms``."""
        if played_ms is None:
            count = len(self._voiced)
        else:
            count = min(max(played_ms // TICK_MS - self.first_tick, 0), len(self._voiced))
        chars = self._voiced[count - 1] if count else 0
        return self.text[: self._whole_words(chars)]

    def _whole_words(self, chars: int) -> int:
        """The longest start of the text that ends with a word and has at most ``chars``."""
        if chars >= len(self.text.rstrip()) and self._written:
            return len(self.text)
        return max(self.text.rfind(" ", 0, chars + 1), 0)
