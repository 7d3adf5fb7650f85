"""The caller's microphone: one Opus packet for every 20 ms of a paced user."""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.network.paced_user import PacedUser

BIT_RATE: Final = 32_000  # what Chromium sends for speech


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

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """Sound [320] in -1..1 as one packet."""
        frame = av.AudioFrame.from_ndarray(pcm[None].clip(-1, 1), format="flt", layout="mono")
        frame.sample_rate = USER_RATE_HZ
        frame.pts = self._samples
        self._samples += len(pcm)
        (packet,) = self._codec.encode(frame)
        return bytes(packet)


class Microphone(MediaStreamTrack):
    """Sends what ``user`` says."""

    kind = "audio"

    def __init__(self, user: PacedUser) -> None:
        super().__init__()
        self._user = user
        self._encoder = UserEncoder()

    async def recv(self) -> av.Packet:
        """The next packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        index = self._user.index
        packet = av.Packet(self._encoder.encode(await self._user.piece()))
        packet.pts = index * 960
        packet.time_base = Fraction(1, 48_000)
        return packet
