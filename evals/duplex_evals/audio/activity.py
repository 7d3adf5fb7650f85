"""When the agent is audible, found while it speaks: what a person on the other end reacts to."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_evals.audio.onset import FRAME_MS, loud_frames

ONSET_FRAMES: Final = 3  # 30 ms: a click is no speech
END_SILENCE_MS: Final = 600  # pauses between the phrases of a reply are shorter


class AgentActivity:
    """Onsets and ends of the agent's sound in ms, in order; an end is known 600 ms later."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.onsets: list[float] = []
        self.ends: list[float] = []
        self.last_loud_ms = -1.0  # end of the latest loud frame of an utterance
        self._run = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance has begun whose end is not known."""
        return len(self.onsets) > len(self.ends)

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Take what is heard next, 24 kHz, whole frames of 10 ms."""
        for loud in loud_frames(pcm, AGENT_RATE_HZ):
            self.now_ms += FRAME_MS
            self._run = self._run + 1 if loud else 0
            if not self.speaking and self._run == ONSET_FRAMES:
                self.onsets.append(float(self.now_ms - ONSET_FRAMES * FRAME_MS))
            if self.speaking and loud:
                self.last_loud_ms = float(self.now_ms)
            if self.speaking and self.now_ms - self.last_loud_ms >= END_SILENCE_MS:
                self.ends.append(self.last_loud_ms)

    def onset_after(self, moment_ms: float) -> float | None:
        """The first onset at or after the moment, or the moment itself if the agent speaks on."""
        for onset in self.onsets:
            if onset >= moment_ms:
                return onset
        if self.speaking and self.last_loud_ms > moment_ms:
            return moment_ms
        return None

    def end_after(self, moment_ms: float) -> float | None:
        """The first end at or after the moment."""
        return next((end for end in self.ends if end >= moment_ms), None)
