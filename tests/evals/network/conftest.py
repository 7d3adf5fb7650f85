"""Peers with known behaviour, each a real server in a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soxr
from duplex_evals.audio.hum import voice_hum
from duplex_evals.network.echo_peer import calibrate

LIGHT_SESSIONS = Path(__file__).parents[2] / "engine"
GATEWAY = """
from duplex_agent.gateway.app import GatewayConfig
from duplex_agent.gateway.server import serve
serve("127.0.0.1", 0, GatewayConfig(factory="light_session:load", slots={slots}))
"""


@contextmanager
def running(*arguments, process_out=None):
    command = [sys.executable, str(Path(__file__).with_name("peers.py")), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http"), "the peer does not start"
        if process_out is not None:
            process_out.append(process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


@pytest.fixture(scope="session")
def peer() -> Callable[..., object]:
    """``with peer(name, ms) as url``: see ``peers.py``."""
    return running


@pytest.fixture(scope="session")
def user_audio() -> Callable[[float, float], np.ndarray]:
    """``user_audio(lead_s, speech_s, tail_s)``: a hum between silences, 16 kHz."""

    def make(*seconds: float) -> np.ndarray:
        pieces = []
        for index, length_s in enumerate(seconds):
            if index % 2:
                hum = voice_hum(0, round(length_s * 24_000))
                pieces.append(soxr.resample(hum, 24_000, 16_000).astype(np.float32))
            else:
                pieces.append(np.zeros(round(length_s * 16_000), np.float32))
        return np.concatenate(pieces)

    return make


@contextmanager
def running_gateway(slots=1):
    process = subprocess.Popen(
        [sys.executable, "-c", GATEWAY.format(slots=slots)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(LIGHT_SESSIONS)},
    )
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        assert process.stdout.readline().startswith("Ready")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=15)
        finally:
            process.kill()
            process.stdout.close()


@pytest.fixture(scope="session")
def gateway() -> Callable[..., object]:
    """``with gateway(slots) as url``: the project's server with sessions that echo."""
    return running_gateway


@pytest.fixture(scope="session")
def webrtc_calibration():
    return calibrate("webrtc")


@pytest.fixture
def dead_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
