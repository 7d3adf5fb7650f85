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
from duplex_agent.engine.sessions import DEFAULT_FACTORY, Session, SessionFactory
from duplex_agent.errors import AudioError, DuplexError
from duplex_agent.spec import AgentSpec


class Slots:
    """The conversations of one worker and what each request does to them."""

    def __init__(self, factory: SessionFactory, count: int) -> None:
        self._factory = factory
        self._count = count
        self._sessions: dict[str, Session] = {}

    def handle(self, request: wire.Message) -> wire.Message:
        """The reply to one request; a session that breaks is closed and the rest go on."""
        call = str(request.get("call", ""))
        operation = request.get("op")
        if operation == "tick":
            return self._tick(call, request)
        if operation == "open":
            return self._open(call, int(request.get("seed", 0)))
        if operation == "close":
            session = self._sessions.pop(call, None)
            if session is not None:
                session.close()
            return {"op": "closed"}
        return _error("unknown_operation", f"the worker does not know {operation!r}")

    def _open(self, call: str, seed: int) -> wire.Message:
        if len(self._sessions) >= self._count:
            return {"op": "busy"}
        try:
            self._sessions[call] = self._factory(seed)
        except Exception as error:
            return _broken(error)
        return {"op": "opened"}

    def _tick(self, call: str, request: wire.Message) -> wire.Message:
        session = self._sessions.get(call)
        if session is None:
            return _error("no_such_call", "this call holds no slot of the worker")
        try:
            tick = session.tick(wire.decode_pcm(request["pcm"]), request.get("played_ms"))
        except AudioError as error:
            return _error("bad_audio", str(error))
        except Exception as error:
            del self._sessions[call]
            session.close()
            return _broken(error)
        return {
            "op": "ticked",
            "pcm": wire.encode_pcm(tick.agent_pcm),
            "events": [event.to_json() for event in tick.events],
        }


def resolve(dotted: str) -> Any:
    """The object named ``package.module:attribute``."""
    module, _, attribute = dotted.partition(":")
    return getattr(importlib.import_module(module), attribute)


def serve(connection: socket.socket, spec: AgentSpec, factory: str, slots: int) -> int:
    """Load, say ``ready``, answer until the gateway hangs up. Returns the exit code."""
    connection.sendall(wire.pack({"op": "loading"}))
    try:
        room = Slots(resolve(factory)(spec), slots)
    except Exception as error:
        if not isinstance(error, DuplexError):
            traceback.print_exc()
        connection.sendall(wire.pack({"op": "failed", "message": _one_line(error)}))
        return 1
    # What was loaded stays for good: keep the collector from walking it in the middle of a tick.
    gc.collect()
    gc.freeze()
    connection.sendall(wire.pack({"op": "ready", "slots": slots}))
    while (request := wire.read_blocking(connection)) is not None:
        reply = room.handle(request)
        try:
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


def _error(code: str, message: str) -> wire.Message:
    return {"op": "error", "code": code, "message": message}


def _broken(error: Exception) -> wire.Message:
    traceback.print_exception(error)
    return _error("session_broken", _one_line(error))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, DuplexError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
