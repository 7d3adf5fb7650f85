"""From the command to a conversation: seconds until the server is ready, and its memory in a call.

The real command is started as a user starts it, everything cached, and holds one call over WebRTC.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final

import psutil
import typer
from rich.table import Table

from duplex_agent.terminal import Console
from duplex_evals.errors import TargetError
from duplex_evals.families import smooth_turn
from duplex_evals.network.webrtc_caller import run_webrtc

READY_S: Final = 6.0
MEMORY_MIB: Final = 600.0
_MIB: Final = 2**20


@dataclass(frozen=True)
class Start:
    """One start: seconds until ready; MiB resident in a call."""

    ready_s: float
    gateway_mib: float
    worker_mib: float


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`duplex-agent serve` on a free port, once it is ready, and its URL."""
    arguments = [sys.executable, "-m", "duplex_agent", "serve", "--port", "0"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Ready: open (http://\S+)", line):
                yield process, found[1]
                return
        raise TargetError("the server ended before it was ready")
    finally:
        process.terminate()
        process.wait(timeout=15)


def measure() -> Start:
    """Start the server, hold one call, look at its processes. Raises TargetError."""
    begun = time.monotonic()
    with server() as (process, url):
        ready_s = time.monotonic() - begun
        run_webrtc(url, smooth_turn.scenarios()[0], seed=0)
        gateway = psutil.Process(process.pid)
        worker_mib = sum(c.memory_info().rss for c in gateway.children(recursive=True)) / _MIB
        return Start(ready_s, gateway.memory_info().rss / _MIB, worker_mib)


def main(
    times: Annotated[int, typer.Option(min=1, help="starts; the fastest counts")] = 3,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 above the targets.")] = False,
) -> None:
    """Start the server some times; print seconds to ready and memory after a call."""
    starts = [measure() for _ in range(times)]
    table = Table("ready after, s", "gateway, MiB", "worker, MiB", "together, MiB")
    for one in starts:
        together = one.gateway_mib + one.worker_mib
        table.add_row(
            f"{one.ready_s:.1f}",
            f"{one.gateway_mib:.0f}",
            f"{one.worker_mib:.0f}",
            f"{together:.0f}",
        )
    Console().print(table)
    ready_s = min(one.ready_s for one in starts)
    together = max(one.gateway_mib + one.worker_mib for one in starts)
    Console().print(
        f"ready after {ready_s:.1f} s (target {READY_S:.0f});"
        f" {together:.0f} MiB in a call (target {MEMORY_MIB:.0f})"
    )
    if check and (ready_s > READY_S or together > MEMORY_MIB):
        raise typer.Exit(1)
