"""A real server in its own process, with a light session instead of the network, and a caller."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import aioice.ice
import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

LIGHT_SESSIONS = Path(__file__).parents[1] / "engine"
START = """
from duplex_agent.gateway.app import GatewayConfig
from duplex_agent.gateway.call import CallTimeouts
from duplex_agent.gateway.server import serve
serve("127.0.0.1", 0, GatewayConfig(
    factory="light_session:{factory}", slots={slots}, timeouts={timeouts}
))
"""


@dataclass
class Server:
    """A running server process and its address."""

    process: subprocess.Popen[str]
    url: str

    def wait_line(self, pattern):
        for line in self.process.stdout:
            if re.search(pattern, line):
                return line
        raise AssertionError(f"the server ended without a line like {pattern!r}")

    def request(self, path, body=None, method=None, **headers):
        """Status, headers and body of one HTTP request."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, names, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, reply.headers, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def state(self):
        return json.loads(self.request("/readyz")[2])

    def wait_state(self, within_s=10, **wanted):
        """Wait until /readyz says what is ``wanted``."""
        give_up = time.monotonic() + within_s
        while not wanted.items() <= (state := self.state()).items():
            assert time.monotonic() < give_up, f"{state} instead of {wanted}"
            time.sleep(0.1)
        return state


@contextmanager
def running(factory="load", slots=1, timeouts="CallTimeouts()", ready=True):
    process = subprocess.Popen(
        [sys.executable, "-c", START.format(factory=factory, slots=slots, timeouts=timeouts)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(LIGHT_SESSIONS), os.getcwd()])},
        start_new_session=True,
    )
    server = Server(process, "")
    try:
        server.url = re.search(r"http://\S+", server.wait_line("Listening on"))[0]
        if ready:
            server.wait_line("Ready")
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=15)
        finally:
            process.kill()
            process.stdout.close()


@pytest.fixture(scope="session")
def start_server() -> Callable[..., object]:
    """``with start_server(factory, ...) as server``: see ``running``."""
    return running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for tests that leave it as they found it."""
    with running() as server:
        yield server


class Microphone(MediaStreamTrack):
    """Sends ``pcm`` (48 kHz) in real time, then silence, or nothing once ``mute_after_s``."""

    kind = "audio"

    def __init__(self, pcm, mute_after_s=None):
        super().__init__()
        self.pcm = pcm
        self.mute_after = None if mute_after_s is None else int(mute_after_s * 50)
        self.index = 0
        self.start_s = None

    async def recv(self):
        self.start_s = self.start_s or time.monotonic()
        if self.index == self.mute_after:
            await asyncio.sleep(3600)
        await asyncio.sleep(max(0, self.start_s + self.index * 0.02 - time.monotonic()))
        piece = self.pcm[self.index * 960 : (self.index + 1) * 960]
        piece = np.pad(piece, (0, 960 - len(piece)))
        frame = av.AudioFrame.from_ndarray((piece * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = (
            48_000,
            self.index * 960,
            Fraction(1, 48_000),
        )
        self.index += 1
        return frame


class Caller:
    """A browser's part, by aiortc: sends a microphone, keeps sound and events."""

    def __init__(self, server, pcm, mute_after_s=None):
        self.server = server
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(Microphone(pcm, mute_after_s))
        self.channel = self.connection.createDataChannel("oai-events")
        self.channel.on("message", self._take_event)
        self.connection.on("track", self._listen)
        self.events = []
        self.sound = []  # (monotonic time, frame)
        self._unheard = 0
        self._news = asyncio.Event()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.connection.close()
        if hasattr(self, "_reader"):
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def offer(self):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def post(self):
        """POST the offer; status, headers, body."""
        body = (await self.offer()).encode()
        return await asyncio.to_thread(
            self.server.request, "/v1/realtime/calls", body, content_type="application/sdp"
        )

    async def call(self):
        """Connect; returns the call's path."""
        status, headers, answer = await self.post()
        assert status == 201, answer
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return headers["Location"]

    def of_type(self, type_):
        """The events of that type so far."""
        return [event for event in self.events if event["type"] == type_]

    async def wait_event(self, type, within_s=10, after=None):
        """The first event of ``type`` (behind the event ``after``), past or in the next seconds."""
        start = 0 if after is None else self.events.index(after) + 1
        async with asyncio.timeout(within_s):
            while True:
                for event in self.events[start:]:
                    if event["type"] == type:
                        return event
                self._news.clear()
                await self._news.wait()

    async def wait_audio(self, hz, within_s=10):
        """Wait until a tone of ``hz`` is heard in sound not looked at yet; returns when."""
        async with asyncio.timeout(within_s):
            while True:
                while self._unheard < len(self.sound):
                    at, frame = self.sound[self._unheard]
                    self._unheard += 1
                    if loudness(frame, hz) > 0.05:
                        return at
                self._news.clear()
                await self._news.wait()

    def _take_event(self, text):
        self.events.append({**json.loads(text), "received_s": time.monotonic()})
        self._news.set()

    def _listen(self, track):
        self._reader = asyncio.ensure_future(self._read(track))

    async def _read(self, track):
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            pcm = frame.to_ndarray().reshape(-1, 2)[:, 0] / 32768
            self.sound.append((time.monotonic(), pcm))
            self._news.set()


def loudness(frame, hz):
    """Amplitude of a tone in a 48 kHz frame."""
    t = np.arange(len(frame)) / 48_000
    return 2 * abs(np.mean(frame * np.exp(-2j * np.pi * hz * t)))


@pytest.fixture
def caller(monkeypatch) -> type[Caller]:
    """The Caller class; its candidates are on the loopback interface, where the server is."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    return Caller
