"""The agent's sound as a listener hears it, laid out on the caller's clock. Pure."""

from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ

Audio = NDArray[np.float32]
AUDIBLE_PEAK: Final = 0.01
GROW_S: Final = 10
SETTLE_S: Final = 0.02  # more than the resampler's reach, so a slice has no edge of its own


class Timeline:
    """Sound at ``rate_hz``; sample 0 is the caller's time zero, what lies before it is dropped.

    Writing twice to a place keeps the later sound; what was never written is silence.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.end = 0
        self._pcm = np.zeros(GROW_S * rate_hz, np.float32)

    def write(self, at: int, pcm: Audio) -> None:
        """Put ``pcm`` [n] at sample ``at``."""
        pcm, at = pcm[max(0, -at) :], max(0, at)
        end = at + len(pcm)
        if end > len(self._pcm):
            self._pcm = np.pad(self._pcm, (0, end - len(self._pcm) + GROW_S * self.rate_hz))
        self._pcm[at:end] = pcm
        self.end = max(self.end, end)

    def wipe(self, start: int) -> None:
        """Silence from sample ``start`` on: what waited there is not heard."""
        self._pcm[max(0, start) : self.end] = 0.0
        self.end = min(self.end, max(0, start))

    def audible_before(self, at: int) -> bool:
        """Whether the 20 ms before sample ``at`` carry sound: a hole there would be heard."""
        before = self._pcm[max(0, at - self.rate_hz // 50) : max(0, at)]
        return bool(np.abs(before).max(initial=0.0) > AUDIBLE_PEAK)

    def heard(self, start_ms: float, end_ms: float) -> Audio:
        """What is heard between two times, at 24 kHz."""
        settle = round(SETTLE_S * self.rate_hz)
        start, end = (round(ms * self.rate_hz / 1000) for ms in (start_ms, end_ms))
        pcm = np.zeros(end - start + 2 * settle, np.float32)
        first = max(0, start - settle)
        known = self._pcm[first : max(first, end + settle)]
        lead = first - (start - settle)
        pcm[lead : lead + len(known)] = known
        audio = np.asarray(soxr.resample(pcm, self.rate_hz, AGENT_RATE_HZ), np.float32)
        skip = settle * AGENT_RATE_HZ // self.rate_hz
        length = round((end - start) * AGENT_RATE_HZ / self.rate_hz)
        return audio[skip : skip + length]
