"""When speech starts and stops, as voice pipelines decide it: Silero in windows of 32 ms.

A start needs ``START_MS`` of speech and a stop ``stop_ms`` of silence. Both are reported with the
time at which the speech really began or ended, and are known only that much later.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.audio.buffers import Blocks
from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.duplex.vad import CONTEXT, WINDOW, load_silero

WINDOW_MS: Final = WINDOW * 1000 // USER_RATE_HZ
SPEECH_ON: Final = 0.5  # Silero's own default
SPEECH_OFF: Final = 0.35  # and its lower threshold, 0.15 below
START_MS: Final = 200  # Pipecat's default before it believes in speech


@dataclass(frozen=True, slots=True)
class Change:
    """Speech started (or stopped) at ``at_ms``; noticed when it is returned."""

    started: bool
    at_ms: int


class Listener:
    """Silero with hysteresis and two counters."""

    def __init__(self, stop_ms: int) -> None:
        """Raises AssetError when the detector cannot be had."""
        self._network = load_silero()
        self._stop_ms = stop_ms
        self.reset()

    def reset(self) -> None:
        """Begin at time zero."""
        self._windows = Blocks(WINDOW)
        self._context: NDArray[np.float32] = np.zeros(CONTEXT, np.float32)
        self._state: Any = np.zeros((2, 1, 128), np.float32)
        self._now_ms = 0
        self._loud = False  # this window's opinion
        self._run_ms = 0  # how long the opinion has differed from `speaking`
        self.speaking = False
        self.silence_ms = 0  # unbroken, up to now

    def step(self, pcm: NDArray[np.float32]) -> list[Change]:
        """Hear ``pcm`` [n] at 16 kHz; what changed, in order."""
        changes = []
        for window in self._windows.push(pcm):
            change = self._decide(self._probability(window))
            if change is not None:
                changes.append(change)
        return changes

    def _probability(self, window: NDArray[np.float32]) -> float:
        feed = {
            "input": np.concatenate([self._context, window])[None],
            "state": self._state,
            "sr": np.array(USER_RATE_HZ, dtype=np.int64),
        }
        probability, self._state = self._network.run(None, feed)
        self._context = window[-CONTEXT:].copy()
        return float(probability[0, 0])

    def _decide(self, probability: float) -> Change | None:
        self._now_ms += WINDOW_MS
        self._loud = probability >= (SPEECH_OFF if self._loud else SPEECH_ON)
        self.silence_ms = 0 if self._loud else self.silence_ms + WINDOW_MS
        if self._loud == self.speaking:
            self._run_ms = 0
            return None
        self._run_ms += WINDOW_MS
        if self._run_ms < (self._stop_ms if self.speaking else START_MS):
            return None
        self.speaking = not self.speaking
        changed = Change(self.speaking, self._now_ms - self._run_ms)
        self._run_ms = 0
        return changed
