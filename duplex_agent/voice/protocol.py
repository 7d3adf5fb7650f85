"""What a conversation needs of a voice: text in as it is written, 80 ms of sound a tick out."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Spoken(Protocol):
    """One tick of the voice."""

    @property
    def pcm(self) -> NDArray[np.float32]:
        """[1920] at 24 kHz."""
        ...

    @property
    def chars_spoken(self) -> int:
        """Characters of the written text that are fully voiced by the end of this tick."""
        ...

    @property
    def done(self) -> bool:
        """Nothing is left to say; this tick was the last."""
        ...


class SpeechStream(Protocol):
    """One utterance being spoken while its text still arrives."""

    def write(self, text: str, hidden: NDArray[np.float32] | None = None) -> None: ...

    @property
    def left_out(self) -> list[str]:
        """Written words passed over so far, because nothing of them can be said."""
        ...

    def finish(self) -> None: ...

    def tick(self) -> Spoken: ...

    def stop(self) -> None: ...


class Voice(Protocol):
    """Text to sound."""

    def start(self, seed: int = 0) -> SpeechStream: ...
