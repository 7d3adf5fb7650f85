"""A user who talks on the wall clock: 20 ms of sound every 20 ms, asked for tick by tick.

A tick of the user depends on what is heard of the agent in the same 80 ms, so it can be asked
for only once they have passed: sound leaves 80 ms after it was said. The echo peer has the same
delay in its path, so calibration removes it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS, USER_RATE_HZ

Audio = NDArray[np.float32]
PIECE_S: Final = 0.02
PIECE_SAMPLES: Final = USER_RATE_HZ // 50
PIECES_PER_TICK: Final = TICK_MS // 20
LATE_S: Final = 0.01


class PacedUser:
    """Silence until ``begin``, then ticks from ``next_tick`` until it gives None, then silence.

    ``zero_s`` is the caller's time zero on the monotonic clock, once begun; ``over`` is set when
    the user is done, or has failed with ``error``. ``late`` counts pieces that were given more
    than 10 ms after their time: many of them mean that this machine is too busy to measure.
    """

    def __init__(self) -> None:
        self.zero_s: float | None = None
        self.over = asyncio.Event()
        self.error: Exception | None = None
        self.index = 0
        self.sent = 0
        self.late = 0
        self._next_tick: Callable[[], Audio | None] | None = None
        self._pieces: list[Audio] = []
        self._start_s: float | None = None

    def begin(self, next_tick: Callable[[], Audio | None]) -> None:
        """Time zero is the next piece; the first tick is asked for when it is over."""
        self._next_tick = next_tick

    def now_s(self) -> float:
        """Seconds since time zero; 0 before."""
        return 0.0 if self.zero_s is None else time.monotonic() - self.zero_s

    async def piece(self) -> Audio:
        """The next 20 ms [320] at 16 kHz, when they are due."""
        now_s = time.monotonic()
        if self._start_s is None:
            self._start_s = now_s
        due_s = self._start_s + self.index * PIECE_S
        if due_s > now_s:
            await asyncio.sleep(due_s - now_s)
        self.index += 1
        if self.zero_s is not None:
            self.sent += 1
            self.late += time.monotonic() - due_s > LATE_S
        return self._take(due_s)

    def _take(self, due_s: float) -> Audio:
        if self._next_tick is not None and self.zero_s is None:
            self.zero_s = due_s
            self._pieces = [np.zeros(PIECE_SAMPLES, np.float32)] * PIECES_PER_TICK
        elif self._next_tick is not None and not self._pieces and not self.over.is_set():
            self._pieces = self._ask(self._next_tick)
        return self._pieces.pop(0) if self._pieces else np.zeros(PIECE_SAMPLES, np.float32)

    def _ask(self, next_tick: Callable[[], Audio | None]) -> list[Audio]:
        tick = None
        try:
            tick = next_tick()
        except Exception as error:  # whoever sends would swallow it: kept for the caller
            self.error = error
        if tick is None:
            self.over.set()
            return []
        return list(tick.reshape(PIECES_PER_TICK, PIECE_SAMPLES))
