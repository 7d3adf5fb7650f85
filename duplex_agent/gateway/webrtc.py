"""One browser's connection: Opus packets in and out, events over the data channel."""

import asyncio
import json
import logging
import time
from collections import deque
from fractions import Fraction
from typing import Any, Final

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from duplex_agent.gateway.aiortc_internals import tap
from duplex_agent.gateway.api_error import ApiError
from duplex_agent.gateway.deadlines import Deadlines
from duplex_agent.gateway.offer import check_offer
from duplex_agent.gateway.opus import OpusEncoder
from duplex_agent.gateway.playout import Playout
from duplex_agent.gateway.receive import UserAudio

log = logging.getLogger(__name__)

CHANNEL: Final = "oai-events"
MAX_PENDING_EVENTS: Final = 256
MAX_BUFFERED_BYTES: Final = 1 << 20
PACKET_S: Final = 0.02
MAX_STALL_S: Final = 0.1
CLOSE_TIMEOUT_S: Final = 5.0


class AgentTrack(MediaStreamTrack):
    """Sends a packet every 20 ms from ``playout``, and silence when nothing waits there.

    aiortc sends as fast as ``recv`` returns, so the pace is set here, by absolute deadlines;
    after a stall over 100 ms the timestamps jump ahead instead of a burst going out.
    """

    kind = "audio"

    def __init__(self, playout: Playout) -> None:
        super().__init__()
        self._playout = playout
        self._encoder = OpusEncoder()
        self._deadlines = Deadlines(PACKET_S, MAX_STALL_S)

    async def recv(self) -> av.Packet:
        """The next packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        index, wait_s = self._deadlines.next(time.monotonic())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        packet = av.Packet(self._encoder.encode(self._playout.pop()))
        packet.pts = index * 960
        packet.time_base = Fraction(1, 48_000)
        return packet


class Peer:
    """An RTCPeerConnection that speaks Opus one stream each way, and nothing else."""

    def __init__(self, audio: UserAudio, playout: Playout) -> None:
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.last_packet_s = time.monotonic()
        self._audio = audio
        self._channel: RTCDataChannel | None = None
        self._pending: deque[str] = deque(maxlen=MAX_PENDING_EVENTS)
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self._connection.addTransceiver(AgentTrack(playout), direction="sendrecv")
        transceiver.setCodecPreferences(_opus())
        tap(transceiver.receiver, self._on_packet)
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.on("datachannel", self._on_channel)

    async def answer(self, offer: str) -> str:
        """SDP answer to the SDP ``offer``, all candidates included; ApiError 400 if unusable."""
        offer = check_offer(offer)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # whatever aiortc raises here comes from the offer
            log.info("offer refused: %s", error)
            raise ApiError(400, "invalid_offer", "the offer cannot be answered") from error
        return self._connection.localDescription.sdp

    def send(self, event: dict[str, Any]) -> None:
        """Send ``event`` as JSON; kept until the browser has opened the channel."""
        text = json.dumps(event, ensure_ascii=False)
        channel = self._channel
        if channel is None or channel.readyState == "connecting":
            self._pending.append(text)
        elif channel.readyState == "open" and channel.bufferedAmount < MAX_BUFFERED_BYTES:
            channel.send(text)

    async def close(self) -> None:
        """End the connection; never raises, safe to call twice."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except TimeoutError:
            log.warning("a connection did not close within %.0f s", CLOSE_TIMEOUT_S)
        except Exception as error:  # aiortc stumbles over what it has only half built
            log.warning("a connection could not be closed in order: %r", error)
        finally:
            self.closed.set()

    def _on_packet(self, timestamp: int, payload: bytes) -> None:
        self.last_packet_s = time.monotonic()
        self._audio.add(timestamp, payload)

    def _on_state(self) -> None:
        if self._connection.connectionState == "connected":
            self.last_packet_s = time.monotonic()
            self.connected.set()
        elif self._connection.connectionState in ("failed", "closed"):
            self.closed.set()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            return
        self._channel = channel
        while self._pending:
            channel.send(self._pending.popleft())


def _opus() -> list[RTCRtpCodecCapability]:
    capabilities = RTCRtpReceiver.getCapabilities("audio")
    codecs = capabilities.codecs if capabilities else []
    return [codec for codec in codecs if codec.mimeType == "audio/opus"]
