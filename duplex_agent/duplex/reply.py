"""One reply: text from a writer, sound from the voice, and what of it was heard."""

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.errors import MindError
from duplex_agent.llm.mind import Heard, Writer
from duplex_agent.voice.protocol import SpeechStream


class Reply:
    """A reply from its first word to its last sound.

    Each tick: ``think`` (bounded), then ``speak``. ``fade`` ends the voice early, ``cancel`` the
    writing. The history needs ``heard``: what had been voiced when so much of the sound was
    played. A writer that fails leaves ``problem``, and what it wrote before is still spoken.
    """

    def __init__(self, writer: Writer, stream: SpeechStream, config: SessionConfig) -> None:
        self._writer = writer
        self._stream = stream
        self._config = config
        self._voiced: list[int] = []  # characters voiced by the end of each tick of sound
        self._left_out = 0  # words that were reported as left out
        self.thought = False  # no more text will come
        self.problem = ""  # why the text ended before its end
        self.speaking = False  # the voice has begun
        self.first_tick = 0  # the session's tick with the first 80 ms of the voice
        self.over = False

    @property
    def text(self) -> str:
        """What is written so far."""
        return self._writer.text

    def think(self) -> str:
        """Write on; the answer is the new text (may be empty)."""
        if self.thought:
            return ""
        budget = (
            self._config.tokens_per_tick if self.speaking else self._config.first_tokens_per_tick
        )
        before = len(self.text)
        try:
            for piece in self._writer.write(budget):
                self._stream.write(piece.text, piece.hidden)
        except MindError as error:
            self.problem = str(error)
        self.thought = self._writer.done or bool(self.problem)
        if self.thought:
            self._stream.finish()
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

    def cancel(self) -> None:
        """No more text is wanted."""
        self._writer.cancel()

    def fade(self) -> NDArray[np.float32]:
        """Stop the voice: its last tick [1920], faded out in 10 ms."""
        self._stream.stop()
        return self._stream.tick().pcm

    def left_out(self) -> list[str]:
        """Words that the voice has passed over since the last call: it cannot say them."""
        words = self._stream.left_out[self._left_out :]
        self._left_out += len(words)
        return words

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
        return self._writer.heard(len(self.voiced(played_ms)))

    def whole(self) -> Heard:
        """What the history should keep of a reply that was spoken to its end."""
        return self._writer.heard(len(self.text))

    def _whole_words(self, chars: int) -> int:
        """The longest start of the text that ends with a word and has at most ``chars``."""
        if chars >= len(self.text.rstrip()) and self.thought:
            return len(self.text)
        return max(self.text.rfind(" ", 0, chars + 1), 0)
