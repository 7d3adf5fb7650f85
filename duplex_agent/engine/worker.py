"""The worker process: holds the model and B slots, serves one gateway over one socket.

Started by the supervisor as ``python -m duplex_agent.engine.worker --socket FD --factory a.b:c``.
Single-threaded on purpose: a tick runs to its end before the next message is looked at. It ends
when the gateway closes the socket; should the gateway die while the model loads or a tick hangs,
the end of standard input, which the gateway holds open, ends it too.
"""

import argparse
import gc
import importlib
import os
import socket
import sys
import threading
import traceback
from typing import Any

from duplex_agent.engine import wire
from duplex_agent.engine.sessions import DEFAULT_FACTORY
from duplex_agent.engine.slots import Slots, one_line
from duplex_agent.errors import DuplexError
from duplex_agent.runtime import heap
from duplex_agent.spec import AgentSpec


def resolve(dotted: str) -> Any:
    """The object named ``package.module:attribute``."""
    module, _, attribute = dotted.partition(":")
    return getattr(importlib.import_module(module), attribute)


def serve(connection: socket.socket, spec: AgentSpec, factory: str, slots: int) -> int:
    """Load, say ``ready``, answer until the gateway hangs up. Returns the exit code."""
    connection.sendall(wire.pack({"op": "loading"}))
    try:
        held = Slots(resolve(factory)(spec), slots)
    except Exception as error:
        if not isinstance(error, DuplexError):
            traceback.print_exc()
        connection.sendall(wire.pack({"op": "failed", "message": one_line(error)}))
        return 1
    # What was loaded stays for good: keep the collector from walking it in the middle of a tick.
    gc.collect()
    gc.freeze()
    heap.trim()
    connection.sendall(wire.pack({"op": "ready", "slots": slots}))
    while requests := wire.read_all(connection, slots):
        replies = held.handle(requests)
        try:
            for request, reply in zip(requests, replies, strict=True):
                connection.sendall(wire.pack({**reply, "id": request.get("id")}))
        except ConnectionError:
            break
    return 0


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="inherited file descriptor")
    parser.add_argument("--factory", default=DEFAULT_FACTORY, help="module:callable")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--spec", default="{}", help="AgentSpec as JSON")
    arguments = parser.parse_args()
    spec = AgentSpec.from_json(arguments.spec)
    heap.keep_small()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    with socket.socket(fileno=arguments.socket) as connection:
        try:
            code = serve(connection, spec, arguments.factory, arguments.slots)
        except ConnectionError:
            code = 0
    sys.exit(code)


def _exit_with_parent() -> None:
    os.read(0, 1)  # blocks for as long as the gateway lives: it never writes
    os._exit(0)


if __name__ == "__main__":
    main()
