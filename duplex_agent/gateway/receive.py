"""From RTP packets to the user's ticks: jitter buffer, Opus, concealment, 16 kHz."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.errors import AudioError
from duplex_agent.gateway.conceal import BLEND, Concealer
from duplex_agent.gateway.jitter import FRAME, JitterBuffer, Missing, Packet
from duplex_agent.gateway.opus import RTP_HZ, Decimator, OpusDecoder, packet_samples

SILENT_PEAK: Final = 0.01
# Beyond this much surplus delay even a sounding packet is dropped.
LOUD_DROP: Final = 3 * FRAME


class UserAudio:
    """Takes the packets of one call as they come and gives one 80 ms block per tick."""

    def __init__(self) -> None:
        self.jitter = JitterBuffer()
        self.packets = 0
        self.undecodable = 0
        self.drained_ms = 0
        self._decoder = OpusDecoder()
        self._concealer = Concealer()
        self._decimator = Decimator()
        self._ready = np.zeros(0, dtype=np.float32)

    @property
    def delay_ms(self) -> int:
        """How long the newest audio that has come must wait for its tick."""
        return self.jitter.depth * 1000 // RTP_HZ + len(self._ready) * 1000 // USER_RATE_HZ

    def add(self, timestamp: int, payload: bytes) -> None:
        """One RTP payload; what is not Opus is counted and dropped."""
        self.packets += 1
        try:
            samples = packet_samples(payload)
        except AudioError:
            self.undecodable += 1
            return
        self.jitter.add(timestamp, payload, samples)

    def block(self) -> NDArray[np.float32]:
        """The user's next 80 ms: float32 [1280] at 16 kHz, silence before the first packet."""
        while len(self._ready) < USER_TICK_SAMPLES:
            self._ready = np.concatenate([self._ready, self._decimator.push(self._next())])
        self.jitter.tick_done()
        block, self._ready = np.split(self._ready, [USER_TICK_SAMPLES])
        return block

    def _next(self) -> NDArray[np.float32]:
        item = self.jitter.pop()
        audio = self._audio(item)
        if not isinstance(item, Packet) or not self._can_drop(item, audio):
            return audio
        self.jitter.drained(item.samples)
        self.drained_ms += item.samples * 1000 // RTP_HZ
        return _joined(audio, self._audio(self.jitter.pop()))

    def _can_drop(self, packet: Packet, audio: NDArray[np.float32]) -> bool:
        surplus = self.jitter.surplus
        silent = np.abs(audio).max(initial=0) < SILENT_PEAK
        return surplus >= LOUD_DROP or bool(silent and surplus >= packet.samples)

    def _audio(self, item: Packet | Missing) -> NDArray[np.float32]:
        if item is Missing.IDLE:
            return np.zeros(FRAME, dtype=np.float32)
        if isinstance(item, Missing):
            return self._concealer.conceal(FRAME)
        try:
            return self._concealer.heard(self._decoder.decode(item.payload))
        except AudioError:
            self.undecodable += 1
            return self._concealer.conceal(item.samples)


def _joined(dropped: NDArray[np.float32], audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """``audio``, begun with a short fade from what was dropped before it, so nothing clicks."""
    n = min(BLEND, len(dropped), len(audio))
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    return np.concatenate([dropped[:n] * (1 - ramp) + audio[:n] * ramp, audio[n:]])
