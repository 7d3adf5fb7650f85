"""A real server in its own process, with a light session instead of the network."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LIGHT_SESSIONS = Path(__file__).parents[1] / "engine"
START = """
from duplex_agent.gateway.app import GatewayConfig
from duplex_agent.gateway.call import CallTimeouts
from duplex_agent.gateway.server import serve
serve("127.0.0.1", {port}, GatewayConfig("light_session:{factory}", {slots}, {timeouts}),
      say=lambda line: print(line, flush=True))
"""


@dataclass
class Server:
    """A running server; ``lines`` are what it has printed on standard output so far."""

    process: subprocess.Popen[str]
    url: str

    def wait_line(self, pattern: str) -> str:
        for line in self.process.stdout:
            if re.search(pattern, line):
                return line
        raise AssertionError(f"the server ended without a line like {pattern!r}")


Start = Callable[..., Server]


@pytest.fixture
def start_server() -> Iterator[Start]:
    servers: list[Server] = []

    def start(
        factory: str = "load", slots: int = 1, timeouts: str = "CallTimeouts()", ready: bool = True
    ) -> Server:
        code = START.format(port=0, factory=factory, slots=slots, timeouts=timeouts)
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(LIGHT_SESSIONS)},
            start_new_session=True,
        )
        server = Server(process, "")
        servers.append(server)
        listening = server.wait_line(r"Listening on http")
        server.url = re.search(r"http://\S+", listening)[0]
        if ready:
            server.wait_line("Ready")
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=15)
        server.process.stdout.close()
