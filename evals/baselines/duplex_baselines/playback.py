"""Sentences on the agent's channel, each from when it is ready, and what of them was heard."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, AGENT_TICK_SAMPLES

Audio = NDArray[np.float32]
_PER_MS: Final = AGENT_RATE_HZ // 1000


@dataclass(frozen=True)
class Sentence:
    """``pcm`` [n] at 24 kHz, heard from ``start_ms`` on."""

    text: str
    pcm: Audio
    start_ms: float

    @property
    def end_ms(self) -> float:
        return self.start_ms + len(self.pcm) / _PER_MS

    def heard(self, until_ms: float) -> str:
        """The whole words heard by then, as if each character took the same time."""
        if until_ms >= self.end_ms:
            return self.text
        share = (until_ms - self.start_ms) / (self.end_ms - self.start_ms)
        chars = int(max(share, 0.0) * len(self.text))
        return self.text[: max(self.text.rfind(" ", 0, chars + 1), 0)]


class Playback:
    """The sentences of one reply, one after the other, without overlap."""

    def __init__(self) -> None:
        self.sentences: list[Sentence] = []

    def add(self, text: str, pcm: Audio, ready_ms: float) -> None:
        """``pcm`` can be heard from ``ready_ms`` on, or when what is before it has ended."""
        begin = max(ready_ms, self.end_ms)
        if len(pcm):
            self.sentences.append(Sentence(text, pcm, begin))

    @property
    def start_ms(self) -> float | None:
        """When the first audio is heard; None without any."""
        return self.sentences[0].start_ms if self.sentences else None

    @property
    def end_ms(self) -> float:
        return self.sentences[-1].end_ms if self.sentences else 0.0

    def heard(self, until_ms: float) -> str:
        """The text heard by then."""
        return "".join(sentence.heard(until_ms) for sentence in self.sentences)

    def audio(self, from_ms: float) -> Audio:
        """The 80 ms [1920] that begin at ``from_ms``."""
        out = np.zeros(AGENT_TICK_SAMPLES, np.float32)
        for sentence in self.sentences:
            offset = round((sentence.start_ms - from_ms) * _PER_MS)
            first, last = max(offset, 0), min(offset + len(sentence.pcm), len(out))
            if first < last:
                out[first:last] = sentence.pcm[first - offset : last - offset]
        return out
