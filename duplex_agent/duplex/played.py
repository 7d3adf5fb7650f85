"""What the listener really heard of the agent: a ring of sound on the playback clock."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, AGENT_TICK_SAMPLES, TICK_MS

KEPT_MS: Final = 4_000
_SAMPLES_PER_MS: Final = AGENT_RATE_HZ // 1000
_SIZE: Final = KEPT_MS * _SAMPLES_PER_MS


class PlayedAudio:
    """The last four seconds of the agent's sound, by session time.

    The sound that tick t gives begins at session time (t + 1) * 80 ms. Playback is somewhere
    behind: what it has not reached when the reply is flushed is never heard.
    """

    def __init__(self) -> None:
        self._ring = np.zeros(_SIZE, dtype=np.float32)
        self._end_ms = TICK_MS  # where the next tick's sound begins

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Add the sound of the next tick [1920]."""
        at = self._end_ms * _SAMPLES_PER_MS % _SIZE
        self._ring[at : at + AGENT_TICK_SAMPLES] = pcm
        self._end_ms += TICK_MS

    def flush(self, played_ms: int) -> None:
        """Playback stopped at session time ``played_ms``: what was pushed behind it is silence."""
        first = max(played_ms, self._end_ms - KEPT_MS)
        at = np.arange(first * _SAMPLES_PER_MS, self._end_ms * _SAMPLES_PER_MS)
        self._ring[at % _SIZE] = 0.0

    def heard(self, until_ms: int, length_ms: int) -> NDArray[np.float32]:
        """What sounded in the ``length_ms`` before session time ``until_ms``, at 24 kHz.

        Silence where nothing was pushed; at most four seconds back.
        """
        at = np.arange((until_ms - length_ms) * _SAMPLES_PER_MS, until_ms * _SAMPLES_PER_MS)
        kept = (at >= (self._end_ms - KEPT_MS) * _SAMPLES_PER_MS) & (
            at < self._end_ms * _SAMPLES_PER_MS
        )
        return np.where(kept, self._ring[at % _SIZE], np.float32(0.0))


assert _SIZE % AGENT_TICK_SAMPLES == 0
