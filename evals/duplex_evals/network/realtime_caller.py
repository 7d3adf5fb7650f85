"""A caller of the OpenAI Realtime API over a WebSocket, as a client library would be one.

Here the caller owns what is played: sound comes faster than it is heard and waits, and when the
server hears the user speak, what waits is thrown away and the server told how much was heard.
Over WebRTC the same API is called by ``webrtc_caller`` through a ``RealtimeEndpoint``.
"""

import asyncio
import base64
import json
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import numpy as np
import uvloop
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from duplex_agent.audio.resample import StreamResampler
from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.conversation.user_channel import UserChannel
from duplex_evals.errors import TargetError
from duplex_evals.network.calibration import NO_CALIBRATION, Calibration
from duplex_evals.network.call_result import CallResult, record_of
from duplex_evals.network.endpoints import DEFAULT_MODEL, key_header
from duplex_evals.network.paced_user import PacedUser
from duplex_evals.network.playback_buffer import PlaybackBuffer
from duplex_evals.network.protocols import RealtimeProtocol
from duplex_evals.network.timeline import Timeline
from duplex_evals.network.user_side import UserSide

SOCKET_PATH: Final = "/v1/realtime"
CONNECT_S: Final = 20.0
LINGER_S: Final = 0.4
MAX_MESSAGE_BYTES: Final = 1 << 24
DELTAS: Final = ("response.output_audio.delta", "response.audio.delta")


class SocketCaller:
    """One conversation over an open ``socket``. Raises TargetError when the server fails it."""

    def __init__(self, socket: ClientConnection, name: str, instructions: str) -> None:
        self.result = CallResult(Timeline(AGENT_RATE_HZ))
        self._socket = socket
        self._name = name
        self._protocol = RealtimeProtocol(_settings(instructions))
        self._ready = asyncio.Event()
        self._user = PacedUser()
        self._buffer = PlaybackBuffer(self.result)
        self._resampler = StreamResampler(USER_RATE_HZ, AGENT_RATE_HZ)

    async def converse(self, user: UserSide) -> CallResult:
        """Wait for the session, then let ``user`` talk until it is done."""
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen())
                async with asyncio.timeout(CONNECT_S):
                    await self._ready.wait()
                talking = group.create_task(self._talk())
                self._user.begin(self.result.speaker(user))
                await self._user.over.wait()
                await asyncio.sleep(LINGER_S)
                listening.cancel()
                talking.cancel()
        except* ConnectionClosed as errors:
            reason = str(errors.exceptions[0])
            raise TargetError(f"{self._name}: the connection was lost: {reason}") from errors
        except* TimeoutError as errors:
            limit = f"{CONNECT_S:.0f} s"
            raise TargetError(f"{self._name}: no session within {limit}") from errors
        except* TargetError as errors:
            raise errors.exceptions[0] from None
        self.result.close(self._user)
        return self.result

    async def _talk(self) -> None:
        while True:
            pcm = self._resampler.push(await self._user.piece())
            if len(pcm):
                await self._send({"type": "input_audio_buffer.append", "audio": _encode(pcm)})

    async def _listen(self) -> None:
        async for text in self._socket:
            try:
                await self._take(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                message = f"{self._name}: an event is not what the protocol says: {error}"
                raise TargetError(message) from error
        raise TargetError(f"{self._name}: the server ended the conversation")

    async def _take(self, event: dict[str, Any]) -> None:
        now_s = self._user.now_s()
        if event["type"] in DELTAS:
            if self._user.zero_s is not None:
                at = round(now_s * AGENT_RATE_HZ)
                self._buffer.push(str(event.get("item_id", "")), _decode(event["delta"]), at)
            return
        reaction = self._protocol.react(event, now_s * 1000)
        if reaction.failure:
            raise TargetError(f"{self._name}: {reaction.failure}")
        self.result.events += reaction.events
        for message in reaction.send:
            await self._send(message)
        if reaction.flush:
            await self._tell_what_was_heard(round(now_s * AGENT_RATE_HZ))
        if reaction.ready:
            self._ready.set()

    async def _tell_what_was_heard(self, at: int) -> None:
        flushed = self._buffer.flush(at)
        if flushed is not None:
            item, heard_ms = flushed
            content = {"item_id": item, "content_index": 0, "audio_end_ms": heard_ms}
            await self._send({"type": "conversation.item.truncate", **content})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(message))


async def call_socket(
    url: str,
    user: UserSide,
    scenario: Scenario,
    seed: int,
    calibration: Calibration = NO_CALIBRATION,
) -> tuple[Record, CallResult]:
    """One whole call to ``ws://`` or ``wss://`` as a record, and what its messages did."""
    address = socket_address(url)
    headers = key_header(url)
    try:
        async with connect(
            address,
            additional_headers=headers,
            open_timeout=CONNECT_S,
            max_size=MAX_MESSAGE_BYTES,
        ) as socket:
            result = await SocketCaller(socket, address, scenario.instructions).converse(user)
    except (OSError, WebSocketException) as error:
        raise TargetError(f"no session at {address}: {error}") from error
    record = record_of(
        result,
        scenario,
        seed,
        agent_name=f"openai+{address}",
        transport="websocket",
        placed=user,
        calibration=calibration,
    )
    return record, result


def run_websocket(
    url: str, scenario: Scenario, seed: int, calibration: Calibration = NO_CALIBRATION
) -> Record:
    """Hold one conversation in real time. Raises TargetError and ClipError.

    Packet loss of the scenario falls on the user's sound: a WebSocket itself loses nothing.
    """
    user = UserChannel(scenario, seed)
    record, _ = uvloop.run(call_socket(url, user, scenario, seed, calibration))
    return record


def socket_address(url: str) -> str:
    """``url`` with the API's path and a model where it names none."""
    parts = urlsplit(url)
    path = parts.path if parts.path.strip("/") else SOCKET_PATH
    query = urlencode(
        {"model": DEFAULT_MODEL, **{k: v[0] for k, v in parse_qs(parts.query).items()}}
    )
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _settings(instructions: str) -> dict[str, Any]:
    """What the session is asked for; when turns end is left to the server."""
    form = {"type": "audio/pcm", "rate": AGENT_RATE_HZ}
    audio = {"input": {"format": form}, "output": {"format": form}}
    settings = {"type": "realtime", "output_modalities": ["audio"], "audio": audio}
    return {**settings, "instructions": instructions} if instructions else settings


def _encode(pcm: NDArray[np.float32]) -> str:
    data = (pcm * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    return base64.b64encode(data).decode()


def _decode(text: str) -> NDArray[np.float32]:
    samples = np.frombuffer(base64.b64decode(text, validate=True), "<i2")
    return samples.astype(np.float32) / np.float32(32768)
