"""Opus, both ways: 20 ms packets of mono sound, through the libopus that PyAV carries.

Sending takes 24 kHz as it is (Opus knows that rate), so nothing is resampled on the way out.
libopus decodes at 48 kHz; ``Decimator`` brings that to 16 kHz by our own filter, because soxr's
streams hold back up to 30 ms and give blocks of changing length.
"""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ
from duplex_agent.errors import AudioError

RTP_HZ: Final = 48_000
BIT_RATE: Final = 32_000
FRAME_SAMPLES: Final = AGENT_RATE_HZ // 50
FACTOR: Final = RTP_HZ // USER_RATE_HZ
MAX_PACKET_SAMPLES: Final = RTP_HZ * 120 // 1000

_SILK_MS: Final = (10, 20, 40, 60)
_HYBRID_MS: Final = (10, 20)
_CELT_MS: Final = (2.5, 5, 10, 20)


def packet_samples(payload: bytes) -> int:
    """Duration of an Opus packet in 48 kHz samples, from its first bytes (RFC 6716, 3.1).

    Raises AudioError for what cannot be an Opus packet.
    """
    if not payload:
        raise AudioError("an Opus packet cannot be empty")
    configuration, code = payload[0] >> 3, payload[0] & 3
    if configuration < 12:
        frame_ms: float = _SILK_MS[configuration % 4]
    elif configuration < 16:
        frame_ms = _HYBRID_MS[configuration % 2]
    else:
        frame_ms = _CELT_MS[configuration % 4]
    if code == 3 and len(payload) < 2:
        raise AudioError("an Opus packet ends in its header")
    frames = (1, 2, 2, payload[1] & 63 if len(payload) > 1 else 0)[code]
    samples = int(frames * frame_ms * RTP_HZ // 1000)
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise AudioError("an Opus packet lasts between 2.5 and 120 ms")
    return samples


class OpusDecoder:
    """Packets of one stream to float32 mono at 48 kHz."""

    def __init__(self) -> None:
        self._codec = AudioCodecContext.create("libopus", "r")
        self._codec.layout = "mono"
        self._codec.sample_rate = RTP_HZ

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """Sound of one packet [n]; AudioError when it does not decode."""
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise AudioError(f"an Opus packet does not decode: {error.strerror}") from error
        parts = [frame.to_ndarray().reshape(-1).astype(np.float32) / 32768 for frame in frames]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


class OpusEncoder:
    """Float32 mono at 24 kHz, 20 ms at a time, to packets of about 80 bytes."""

    def __init__(self) -> None:
        self._codec = AudioCodecContext.create("libopus", "w")
        self._codec.sample_rate = AGENT_RATE_HZ
        self._codec.layout = "mono"
        self._codec.format = "flt"
        self._codec.bit_rate = BIT_RATE
        self._codec.time_base = Fraction(1, AGENT_RATE_HZ)
        self._codec.options = {"application": "voip", "compression_level": "5"}
        self._samples = 0

    def encode(self, frame: NDArray[np.float32]) -> bytes:
        """One frame [480] in -1..1 as one packet."""
        sound = av.AudioFrame.from_ndarray(frame[None], format="flt", layout="mono")
        sound.sample_rate = AGENT_RATE_HZ
        sound.pts = self._samples
        self._samples += len(frame)
        (packet,) = self._codec.encode(sound)
        return bytes(packet)


class Decimator:
    """48 kHz to 16 kHz: a linear-phase low-pass of 97 taps (delay 1 ms), then every third sample.

    Flat to 6.8 kHz, at least 60 dB down from 9.2 kHz, where aliases would fold below 6.8 kHz.
    """

    TAPS: Final = 97

    def __init__(self) -> None:
        n = np.arange(self.TAPS) - (self.TAPS - 1) / 2
        cutoff = 1 / FACTOR
        taps = cutoff * np.sinc(cutoff * n) * np.kaiser(self.TAPS, 6.0)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._tail = np.zeros(self.TAPS - 1, dtype=np.float32)

    def push(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sound [n] at 48 kHz, n a multiple of 3, as [n / 3] at 16 kHz."""
        joined = np.concatenate([self._tail, pcm])
        self._tail = joined[len(joined) - (self.TAPS - 1) :]
        windows = np.lib.stride_tricks.sliding_window_view(joined, self.TAPS)[::FACTOR]
        return windows @ self._taps
