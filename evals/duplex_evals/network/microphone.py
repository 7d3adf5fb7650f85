"""The caller's microphone: Opus packets every 20 ms on the wall clock, tick by tick from a user.

A tick of the user depends on what is heard of the agent in the same 80 ms, so it can be asked
for only once they have passed: sound leaves 80 ms after it was said. The echo peer has the same
delay in its path, so calibration removes it.
"""

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS, USER_RATE_HZ

Sound = NDArray[np.float32]
PACKET_S: Final = 0.02
PACKET_SAMPLES: Final = USER_RATE_HZ // 50
PACKETS_PER_TICK: Final = TICK_MS // 20
BIT_RATE: Final = 32_000  # what Chromium sends for speech
LATE_S: Final = 0.01


class UserEncoder:
    """Float32 mono at 16 kHz, 20 ms at a time, to Opus packets."""

    def __init__(self) -> None:
        self._codec = AudioCodecContext.create("libopus", "w")
        self._codec.sample_rate = USER_RATE_HZ
        self._codec.layout = "mono"
        self._codec.format = "flt"
        self._codec.bit_rate = BIT_RATE
        self._codec.time_base = Fraction(1, USER_RATE_HZ)
        self._codec.options = {"application": "voip"}
        self._samples = 0

    def encode(self, pcm: Sound) -> bytes:
        """Sound [320] in -1..1 as one packet."""
        frame = av.AudioFrame.from_ndarray(pcm[None].clip(-1, 1), format="flt", layout="mono")
        frame.sample_rate = USER_RATE_HZ
        frame.pts = self._samples
        self._samples += len(pcm)
        (packet,) = self._codec.encode(frame)
        return bytes(packet)


class Microphone(MediaStreamTrack):
    """Silence until ``begin``, then ticks from ``next_tick`` until it gives None, then silence.

    ``zero_s`` is the caller's time zero on the monotonic clock, once begun. ``late_packets``
    counts packets that left more than 10 ms after their time: then this machine is too busy to
    measure anything.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.zero_s: float | None = None
        self.over = asyncio.Event()
        self.sent = 0
        self.late_packets = 0
        self._encoder = UserEncoder()
        self._next_tick: Callable[[], Sound | None] | None = None
        self._pieces: list[Sound] = []
        self._start_s: float | None = None
        self._index = 0

    def begin(self, next_tick: Callable[[], Sound | None]) -> None:
        """Time zero is now; the first tick is asked for when it is over."""
        self._next_tick = next_tick

    def now_s(self) -> float:
        """Seconds since time zero, negative infinity before."""
        return float("-inf") if self.zero_s is None else time.monotonic() - self.zero_s

    async def recv(self) -> av.Packet:
        """The next packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = time.monotonic()
        if self._start_s is None:
            self._start_s = now_s
        due_s = self._start_s + self._index * PACKET_S
        if due_s > now_s:
            await asyncio.sleep(due_s - now_s)
        packet = av.Packet(self._encoder.encode(self._sound(due_s)))
        packet.pts = self._index * 960
        packet.time_base = Fraction(1, 48_000)
        self._index += 1
        if self.zero_s is not None:
            self.sent += 1
            self.late_packets += time.monotonic() - due_s > LATE_S
        return packet

    def _sound(self, due_s: float) -> Sound:
        if self.zero_s is None:
            if self._next_tick is not None:
                self.zero_s = due_s
                self._pieces = [np.zeros(PACKET_SAMPLES, np.float32)] * PACKETS_PER_TICK
        elif not self._pieces and not self.over.is_set():
            self._ask()
        return self._pieces.pop(0) if self._pieces else np.zeros(PACKET_SAMPLES, np.float32)

    def _ask(self) -> None:
        assert self._next_tick is not None
        tick = self._next_tick()
        if tick is None:
            self.over.set()
        else:
            self._pieces = list(tick.reshape(PACKETS_PER_TICK, PACKET_SAMPLES))
