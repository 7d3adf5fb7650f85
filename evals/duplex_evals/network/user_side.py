"""Who talks into the microphone of a networked call."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_evals.conversation.record import Placed

Audio = NDArray[np.float32]


class UserSide(Protocol):
    """What a caller needs of ``UserChannel``: one tick of the agent heard, one tick said."""

    @property
    def placed(self) -> list[Placed]: ...

    @property
    def done(self) -> bool: ...

    def step(self, agent_pcm: Audio) -> Audio:
        """Float32 [1920] at 24 kHz heard -> float32 [1280] at 16 kHz said in the same 80 ms."""
        ...


class PlayedAudio:
    """A fixed sound [n] at 16 kHz, then nothing; deaf to the agent."""

    def __init__(self, pcm: Audio) -> None:
        padded = np.pad(pcm, (0, -len(pcm) % USER_TICK_SAMPLES)).astype(np.float32)
        self._ticks = list(padded.reshape(-1, USER_TICK_SAMPLES))
        self._next = 0
        end_ms = len(pcm) * 1000 / USER_RATE_HZ
        self.placed = [Placed("sound", "turn", "anything", "", [(0.0, end_ms)])]

    @property
    def done(self) -> bool:
        return self._next >= len(self._ticks)

    def step(self, agent_pcm: Audio) -> Audio:
        self._next += 1
        return self._ticks[self._next - 1]
