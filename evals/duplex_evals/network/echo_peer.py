"""A peer that gives back what it hears, to learn the delay of the path and of the caller itself.

duplex-evals echo-peer [--port N] [--delay-ms D]

It speaks the gateway's protocol over WebRTC, and the Realtime protocol over a WebSocket at
``/v1/realtime``. Sound is decoded, delayed by D and encoded again the moment it comes, so that
the only delays are those of the codecs, the network and the caller.
"""

import asyncio
import base64
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

import av
import numpy as np
import typer
import uvicorn
import uvloop
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av.audio.codeccontext import AudioCodecContext
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.gateway.aiortc_internals import advertise_loopback, tap
from duplex_agent.gateway.opus import OpusDecoder
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import TargetError
from duplex_evals.network.calibration import Calibration, measure, probe
from duplex_evals.network.endpoints import ProjectEndpoint
from duplex_evals.network.packet_playout import RTP_HZ
from duplex_evals.network.realtime_caller import call_socket
from duplex_evals.network.user_side import PlayedAudio
from duplex_evals.network.webrtc_caller import call

Audio = NDArray[np.float32]
Responder = Callable[[Audio], Audio]
PACKET: Final = RTP_HZ // 50
ATTEMPTS: Final = 3
STEADY_MS: Final = 5.0


class DelayLine:
    """Gives back, for every piece of sound, as much sound from ``delay_samples`` ago."""

    def __init__(self, delay_samples: int) -> None:
        self._waiting = np.zeros(delay_samples, np.float32)

    def __call__(self, pcm: Audio) -> Audio:
        joined = np.concatenate([self._waiting, pcm])
        out, self._waiting = np.split(joined, [len(pcm)])
        return out


class _Reply(MediaStreamTrack):
    """For every packet that comes, one packet that goes, at the same time."""

    kind = "audio"

    def __init__(self, respond: Responder) -> None:
        super().__init__()
        self._respond = respond
        self._decoder = OpusDecoder()
        self._encoder = AudioCodecContext.create("libopus", "w")
        self._encoder.sample_rate = RTP_HZ
        self._encoder.layout = "mono"
        self._encoder.format = "flt"
        self._encoder.bit_rate = 64_000
        self._encoder.time_base = Fraction(1, RTP_HZ)
        self._encoder.options = {"application": "voip"}
        self._packets: asyncio.Queue[av.Packet] = asyncio.Queue()
        self._first: int | None = None
        self._due = 0

    def hear(self, timestamp: int, payload: bytes) -> None:
        if self._first is None:
            self._first = timestamp
        at = (timestamp - self._first) & 0xFFFFFFFF
        while at > self._due:  # a packet was lost: the clock goes on
            self._answer(np.zeros(PACKET, np.float32))
        self._answer(self._decoder.decode(payload))

    async def recv(self) -> av.Packet:
        if self.readyState != "live":
            raise MediaStreamError
        return await self._packets.get()

    def _answer(self, pcm: Audio) -> None:
        frame = av.AudioFrame.from_ndarray(self._respond(pcm)[None], format="flt", layout="mono")
        frame.sample_rate = RTP_HZ
        frame.pts = self._due
        (packet,) = self._encoder.encode(frame)
        packet = av.Packet(bytes(packet))
        packet.pts, packet.time_base = self._due, Fraction(1, RTP_HZ)
        self._due += len(pcm)
        self._packets.put_nowait(packet)


def create_app(make_responder: Callable[[int], Responder]) -> FastAPI:
    """A server whose every call answers sound by ``make_responder(rate_hz)(audio)``.

    The responder is given mono sound as it comes and returns the same number of samples.
    """
    calls: dict[str, RTCPeerConnection] = {}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for connection in list(calls.values()):
            await connection.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/realtime/calls")
    async def create_call(request: Request) -> Response:
        offer = _sdp_of(await request.body())
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        track = _Reply(make_responder(RTP_HZ))
        transceiver = connection.addTransceiver(track, direction="sendrecv")
        tap(transceiver.receiver, track.hear)
        connection.on("datachannel", _greet)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        id = secrets.token_hex(8)
        calls[id] = connection
        location = {"Location": f"/v1/realtime/calls/{id}"}
        sdp = connection.localDescription.sdp
        return Response(sdp, 201, location, media_type="application/sdp")

    @app.post("/v1/realtime/calls/{id}/hangup")
    async def hang_up(id: str) -> None:
        if id in calls:
            await calls.pop(id).close()

    @app.websocket("/v1/realtime")
    async def converse(socket: WebSocket) -> None:
        await socket.accept()
        respond = make_responder(AGENT_RATE_HZ)
        try:
            await socket.send_json({"type": "session.created", "session": {"type": "realtime"}})
            while True:
                await _answer_message(socket, json.loads(await socket.receive_text()), respond)
        except WebSocketDisconnect:
            return

    return app


async def _answer_message(socket: WebSocket, message: dict[str, Any], respond: Responder) -> None:
    if message["type"] == "session.update":
        await socket.send_json({"type": "session.updated", "session": message["session"]})
    elif message["type"] == "input_audio_buffer.append":
        pcm = np.frombuffer(base64.b64decode(message["audio"]), "<i2").astype(np.float32)
        out = (respond(pcm / np.float32(32768)) * 32768).clip(-32768, 32767).astype("<i2").tobytes()
        delta = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i"}
        await socket.send_json({**delta, "delta": base64.b64encode(out).decode()})


def _greet(channel: RTCDataChannel) -> None:
    channel.send(json.dumps({"type": "session.created", "at_ms": 0}))


def _sdp_of(body: bytes) -> str:
    """The offer out of a raw body or out of the ``sdp`` part of a form."""
    text = body.decode()
    start = text.index("v=0")
    end = text.find("\r\n--", start)
    return text[start : end + 2] if end >= 0 else text[start:]


@contextmanager
def running_echo_peer(delay_ms: float = 0.0) -> Iterator[str]:
    """The URL of an echo peer in a process of its own. Raises TargetError."""
    command = [sys.executable, "-m", "duplex_evals", "echo-peer", "--delay-ms", str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("http"):
            raise TargetError("the echo peer does not start")
        yield line.strip()
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def calibrate(transport: Literal["webrtc", "websocket"] = "webrtc") -> Calibration:
    """Delay of a call mouth to ear on this machine, as it is loaded now; takes about 10 s.

    Tried again, twice at most, when the chirps disagree. Raises TargetError.
    """
    with running_echo_peer() as url:
        for attempt in range(ATTEMPTS):
            try:
                found = _measured(url, transport)
            except TargetError:
                if attempt + 1 == ATTEMPTS:
                    raise
                continue
            if found.spread_ms <= STEADY_MS:
                break
    return found


def _measured(url: str, transport: str) -> Calibration:
    user = PlayedAudio(probe())
    scenario = Scenario(id="calibration", family="custom")
    if transport == "webrtc":
        record, _ = uvloop.run(call(ProjectEndpoint(url), user, scenario, 0))
    else:
        record, _ = uvloop.run(call_socket(url.replace("http://", "ws://"), user, scenario, 0))
    return measure(record.agent)


def main(
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 0,
    delay_ms: Annotated[float, typer.Option(help="How late it gives audio back.")] = 0.0,
) -> None:
    """Serve until stopped; the first line printed is the address."""
    advertise_loopback()
    app = create_app(lambda rate_hz: DelayLine(round(delay_ms * rate_hz / 1000)))
    settings = uvicorn.Config(app, "127.0.0.1", port, loop="uvloop", log_level="warning")
    listener = settings.bind_socket()
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(settings).run(sockets=[listener])
