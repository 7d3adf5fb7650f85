"""What waits to be sent: 80 ms blocks in, 20 ms frames out, and what was really played. Pure.

Blocks arrive as soon as the worker has computed them, which is now early, now late, so a little
must always wait here; but all that waits is delay, and must be thrown away on barge-in. Both are
steered in silence, where a few milliseconds more or less cannot be heard: a silent block is
doubled in part while less than ``LOW_MS`` waits, and shortened while more than ``HIGH_MS`` does.

Wherever sound is cut here, by a flush, a gap or an overflow, it is bent into what follows within
8 ms: a jump between two samples is heard as a click.
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
NOTHING: Final = np.zeros(0, dtype=np.float32)


class Playout:
    """The queue between the worker's ticks and the outgoing packets."""

    def __init__(self) -> None:
        self._queue = NOTHING
        self._last = np.float32(0)  # the sample that was handed out last
        self._gap = False  # silence is being handed out, as nothing waits
        self.underruns = 0
        self.dropped_ms = 0

    @property
    def depth_ms(self) -> int:
        """What waits."""
        return _ms(len(self._queue))

    def played_ms(self, pushed_ms: int) -> int:
        """The playback clock: which time of the session has left in packets, when what was pushed
        last ends at ``pushed_ms`` of it.
        """
        return max(0, pushed_ms - self.depth_ms)

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Add the sound of a tick [n] at 24 kHz; past 200 ms the oldest is dropped."""
        if np.abs(pcm).max(initial=0) < SILENT_PEAK:
            if self.depth_ms > HIGH_MS:
                pcm = pcm[FRAME_SAMPLES:]
            elif self.depth_ms < LOW_MS:
                pcm = np.concatenate([pcm, pcm[:FRAME_SAMPLES]])
        if self._gap:
            pcm, self._gap = self._bent(pcm), False
        self._queue = np.concatenate([self._queue, pcm])
        excess = len(self._queue) - LIMIT_MS * AGENT_RATE_HZ // 1000
        if excess > 0:
            self.dropped_ms += _ms(excess)
            self._queue = self._bent(self._queue[excess:])

    def pop(self) -> NDArray[np.float32]:
        """The next frame [480], silence where nothing waits."""
        frame, self._queue = np.split(self._queue, [FRAME_SAMPLES])
        if len(frame) < FRAME_SAMPLES:
            self.underruns += 1
            self._gap = True
            self._last = frame[-1] if len(frame) else self._last
            silence = np.zeros(FRAME_SAMPLES - len(frame), dtype=np.float32)
            frame = np.concatenate([frame, self._bent(silence)])
        self._last = frame[-1]
        return frame

    def flush(self, tick: NDArray[np.float32] = NOTHING) -> int:
        """Fade out within 8 ms and drop the rest; returns how many ms will not be heard.

        ``tick`` [n] is what the worker has to say next. Silence comes in its place, but where less
        than 8 ms waits, its first samples are the rest of the fade.
        """
        dropped = _ms(max(0, len(self._queue) - FADE_SAMPLES))
        # In a gap the listener hears silence already, and the tick would be heard as a blip.
        ending = self._queue if self._gap else np.concatenate([self._queue, tick])
        ending = ending[:FADE_SAMPLES]
        self._queue = ending * np.linspace(1, 0, len(ending), dtype=np.float32)
        if len(tick):
            self.push(np.zeros_like(tick))
        return dropped

    def _bent(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """``pcm`` [n], coming from the sample that was handed out last."""
        n = min(FADE_SAMPLES, len(pcm))
        ramp = np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)[:n]
        return np.concatenate([self._last * (1 - ramp) + pcm[:n] * ramp, pcm[n:]])


def _ms(samples: int) -> int:
    return samples * 1000 // AGENT_RATE_HZ
