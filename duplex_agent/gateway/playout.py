"""What waits to be sent: 80 ms blocks in, 20 ms frames out, and what was really played. Pure.

Blocks arrive as soon as the worker has computed them, which is now early, now late, so a little
must always wait here; but all that waits is delay, and must be thrown away on barge-in. Both are
steered in silence, where a few milliseconds more or less cannot be heard: a silent block is
doubled in part while less than ``LOW_MS`` waits, and shortened while more than ``HIGH_MS`` does.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ

FRAME_SAMPLES: Final = AGENT_RATE_HZ // 50  # 20 ms
FADE_SAMPLES: Final = AGENT_RATE_HZ * 8 // 1000
LOW_MS: Final = 40
HIGH_MS: Final = 100
LIMIT_MS: Final = 200
SILENT_PEAK: Final = 1e-4


class Playout:
    """The queue between the worker's ticks and the outgoing packets.

    ``played_ms`` is the playback clock: how much of what was pushed has left in packets.
    """

    def __init__(self) -> None:
        self._queue = np.zeros(0, dtype=np.float32)
        self._played = 0
        self.underruns = 0
        self.dropped_ms = 0

    @property
    def depth_ms(self) -> int:
        """What waits."""
        return _ms(len(self._queue))

    @property
    def played_ms(self) -> int:
        """What has been handed out by ``pop``, without the silence that filled gaps."""
        return _ms(self._played)

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Add the sound of a tick [n] at 24 kHz; past 200 ms the oldest is dropped."""
        if np.abs(pcm).max(initial=0) < SILENT_PEAK:
            if self.depth_ms > HIGH_MS:
                pcm = pcm[FRAME_SAMPLES:]
            elif self.depth_ms < LOW_MS:
                pcm = np.concatenate([pcm, pcm[:FRAME_SAMPLES]])
        self._queue = np.concatenate([self._queue, pcm])
        excess = len(self._queue) - LIMIT_MS * AGENT_RATE_HZ // 1000
        if excess > 0:
            self.dropped_ms += _ms(excess)
            self._queue = self._queue[excess:]
            self._queue[:FADE_SAMPLES] *= np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)

    def pop(self) -> NDArray[np.float32]:
        """The next frame [480], silence where nothing waits."""
        frame, self._queue = np.split(self._queue, [FRAME_SAMPLES])
        self._played += len(frame)
        if len(frame) == FRAME_SAMPLES:
            return frame
        self.underruns += 1
        return np.concatenate([frame, np.zeros(FRAME_SAMPLES - len(frame), dtype=np.float32)])

    def flush(self) -> int:
        """Fade out within 8 ms and drop the rest; returns how many ms will not be heard."""
        dropped = _ms(max(0, len(self._queue) - FADE_SAMPLES))
        self._queue = self._queue[:FADE_SAMPLES]
        self._queue *= np.linspace(1, 0, FADE_SAMPLES, dtype=np.float32)[: len(self._queue)]
        return dropped


def _ms(samples: int) -> int:
    return samples * 1000 // AGENT_RATE_HZ
