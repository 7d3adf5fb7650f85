"""A caller as a browser would be one: an offer over HTTP, Opus both ways, events by data channel.

The user's channel is said into a paced microphone, the agent's packets are laid out on the same
clock as a jitter buffer of 60 ms would play them, and both end in one ``Record``. The path's own
delay, measured by ``calibration.calibrate``, is taken off the agent's channel and reported.
"""

import asyncio
import json
import random
import time
from typing import Final, Self
from urllib.parse import urlsplit

import uvloop
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)

from duplex_agent.errors import AudioError
from duplex_agent.gateway.aiortc_internals import advertise_loopback, tap
from duplex_agent.gateway.opus import OpusDecoder
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.conversation.user_channel import UserChannel
from duplex_evals.errors import TargetError
from duplex_evals.network.calibration import NO_CALIBRATION, Calibration
from duplex_evals.network.call_result import CallResult, record_of
from duplex_evals.network.endpoints import Endpoint, Opened, ProjectEndpoint, hang_up
from duplex_evals.network.microphone import Microphone
from duplex_evals.network.paced_user import PacedUser
from duplex_evals.network.packet_playout import DELAY, RTP_HZ, PacketPlayout
from duplex_evals.network.timeline import Timeline
from duplex_evals.network.user_side import UserSide

CHANNEL: Final = "oai-events"
CONNECT_S: Final = 20.0
LINGER_S: Final = 0.4  # the last sound is on its way for about 150 ms
LOOK_EVERY_S: Final = 0.25


class _Receiver:
    """The agent's packets as they come: decoded, placed, counted."""

    def __init__(self) -> None:
        self.result = CallResult(Timeline(RTP_HZ))
        self.last_s = 0.0
        self._playout = PacketPlayout()
        self._decoder = OpusDecoder()

    def take(self, timestamp: int, payload: bytes, zero_s: float | None) -> None:
        """One RTP payload; ``zero_s`` is time zero, None before it."""
        now_s = self.last_s = time.monotonic()
        at = self._playout.place(timestamp, round(now_s * RTP_HZ))
        try:
            pcm = self._decoder.decode(payload)
        except AudioError:
            return
        if zero_s is None:
            return
        self.result.packets += 1
        if at is None:
            self.result.late += 1
            return
        at -= round(zero_s * RTP_HZ)
        timeline = self.result.timeline
        if at > timeline.end and timeline.audible_before(timeline.end):
            self.result.gaps += 1
            self.result.gap_ms += (at - timeline.end) * 1000 / RTP_HZ
        timeline.write(at, pcm)


class Caller:
    """One connection to ``endpoint``; ``async with`` opens and ends it. Raises TargetError."""

    def __init__(self, endpoint: Endpoint, instructions: str = "") -> None:
        self._endpoint = endpoint
        self._instructions = instructions
        self._protocol = endpoint.dialect()
        self._opened = Opened("")
        self._ready = asyncio.Event()
        self._failure = ""
        self._receiver = _Receiver()
        self._user = PacedUser()
        if _is_loopback(endpoint.url):
            advertise_loopback()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self._connection.addTransceiver(Microphone(self._user), direction="sendrecv")
        capabilities = RTCRtpReceiver.getCapabilities("audio")
        codecs = capabilities.codecs if capabilities else []
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType == "audio/opus"])
        tap(transceiver.receiver, self._on_packet)
        self._sender = transceiver.sender
        self._channel = self._connection.createDataChannel(CHANNEL)
        self._channel.on("message", self._on_message)
        self._connection.on("connectionstatechange", self._on_state)

    async def __aenter__(self) -> Self:
        try:
            await self._connect()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._end()

    async def converse(self, user: UserSide, loss: float = 0.0, seed: int = 0) -> CallResult:
        """Let ``user`` talk until it is done; ``loss`` of its packets never arrive."""
        if loss:
            _lose_packets(self._sender, loss, seed)
        result = self._receiver.result
        self._user.begin(result.speaker(user))
        await self._watch(self._user.over)
        await self._watch(asyncio.Event(), LINGER_S)
        result.close(self._user)
        return result

    async def _connect(self) -> None:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = self._connection.localDescription.sdp
        self._opened = await asyncio.to_thread(self._endpoint.open, offer, self._instructions)
        answer = RTCSessionDescription(self._opened.answer, "answer")
        try:
            await self._connection.setRemoteDescription(answer)
        except Exception as error:  # whatever aiortc raises here comes from the answer
            raise TargetError(
                f"{self._endpoint.url}: the answer cannot be used: {error}"
            ) from error
        self._receiver.last_s = time.monotonic() + CONNECT_S
        if not await self._watch(self._ready, CONNECT_S):
            raise TargetError(f"{self._endpoint.url}: no conversation within {CONNECT_S:.0f} s")

    async def _watch(self, until: asyncio.Event, limit_s: float | None = None) -> bool:
        """Wait for ``until``, at most ``limit_s``; TargetError when the call is lost meanwhile."""
        give_up_s = None if limit_s is None else time.monotonic() + limit_s
        while not until.is_set():
            now_s = time.monotonic()
            if self._failure:
                raise TargetError(f"{self._endpoint.url}: {self._failure}")
            if now_s - self._receiver.last_s > self._endpoint.silence_limit_s:
                limit = self._endpoint.silence_limit_s
                raise TargetError(f"{self._endpoint.url}: no packet for {limit:.0f} s")
            if give_up_s is not None and now_s >= give_up_s:
                return False
            wait_s = LOOK_EVERY_S if give_up_s is None else min(LOOK_EVERY_S, give_up_s - now_s)
            try:
                async with asyncio.timeout(wait_s):
                    await until.wait()
            except TimeoutError:
                continue
        return True

    async def _end(self) -> None:
        await asyncio.to_thread(hang_up, self._opened)
        await self._connection.close()

    def _on_packet(self, timestamp: int, payload: bytes) -> None:
        self._receiver.take(timestamp, payload, self._user.zero_s)

    def _on_message(self, text: str) -> None:
        zero_s = self._user.zero_s
        now_s = time.monotonic()
        try:
            event = json.loads(text)
            reaction = self._protocol.react(event, 1000 * (now_s - (zero_s or now_s)))
        except (ValueError, TypeError, AttributeError) as error:
            self._failure = f"an event is not what the protocol says: {error}"
            return
        if zero_s is not None:
            self._receiver.result.events += reaction.events
        for message in reaction.send:
            self._channel.send(json.dumps(message))
        self._failure = self._failure or reaction.failure
        if reaction.ready:
            self._ready.set()

    def _on_state(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._failure = self._failure or "the connection was lost"


async def call(
    endpoint: Endpoint,
    user: UserSide,
    scenario: Scenario,
    seed: int,
    calibration: Calibration = NO_CALIBRATION,
) -> tuple[Record, CallResult]:
    """One whole call as a record, and what its packets did."""
    async with Caller(endpoint, scenario.instructions) as caller:
        result = await caller.converse(user, scenario.conditions.loss, seed)
    record = record_of(
        result,
        scenario,
        seed,
        agent_name=endpoint.name,
        transport="webrtc",
        placed=user,
        calibration=calibration,
        playout_ms=DELAY * 1000 / RTP_HZ,
    )
    return record, result


def scenario_user(scenario: Scenario, seed: int) -> UserChannel:
    """The scenario's user, without its packet loss: over a network real packets are lost."""
    conditions = scenario.conditions.model_copy(update={"loss": 0.0})
    return UserChannel(scenario.model_copy(update={"conditions": conditions}), seed)


def run_webrtc(
    url: str | Endpoint, scenario: Scenario, seed: int, calibration: Calibration = NO_CALIBRATION
) -> Record:
    """Hold one conversation with the server at ``url`` in real time.

    ``url`` is this project's gateway, or a ``Endpoint``. Raises TargetError and ClipError.
    """
    endpoint = ProjectEndpoint(url) if isinstance(url, str) else url
    user = scenario_user(scenario, seed)
    record, _ = uvloop.run(call(endpoint, user, scenario, seed, calibration))
    return record


def _lose_packets(sender: RTCRtpSender, loss: float, seed: int) -> None:
    """Throw away ``loss`` of the outgoing RTP packets below the RTP layer, as a network would."""
    rng = random.Random(seed)
    transport = sender.transport
    send = transport._send_rtp

    async def lossy(data: bytes) -> None:
        is_rtcp = 192 <= data[1] <= 223
        if is_rtcp or rng.random() >= loss:
            await send(data)

    transport._send_rtp = lossy  # type: ignore[method-assign]


def _is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
