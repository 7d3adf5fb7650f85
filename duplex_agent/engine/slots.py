"""The conversations of one worker, and what each request does to them. No sockets."""

import time
import traceback
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final

from duplex_agent.duplex.events import Event, Tick
from duplex_agent.duplex.session import Steps
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.engine import wire
from duplex_agent.engine.run import run_many
from duplex_agent.engine.sessions import Session, Sessions
from duplex_agent.errors import REFUSALS, DuplexError
from duplex_agent.printable import printable


class Slots:
    """Holds ``count`` conversations at most; one that breaks is closed and the rest go on.

    Verbs: open, configure, tick, item, respond, cancel, truncate, snapshot, restore, close.
    ``timer`` in seconds measures what ticks cost.
    """

    def __init__(
        self, sessions: Sessions, count: int, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        self._factory = sessions
        self._count = count
        self._timer = timer
        self._sessions: dict[str, Session] = {}
        self._verbs: dict[str, Callable[[Session, wire.Message], wire.Message]] = {
            "configure": self._configure,
            "item": self._item,
            "respond": self._respond,
            "cancel": self._cancel,
            "truncate": self._truncate,
            "snapshot": self._snapshot,
        }

    def handle(self, requests: Sequence[wire.Message]) -> list[wire.Message]:
        """The replies to ``requests``, in order; ticks that stand together run side by side."""
        replies: list[wire.Message] = []
        for ticks, group in groupby(requests, key=lambda request: request.get("op") == "tick"):
            some = list(group)
            replies += self._tick(some) if ticks else [self._act(request) for request in some]
        return replies

    def _act(self, request: wire.Message) -> wire.Message:
        call, operation = str(request.get("call", "")), request.get("op")
        if operation in ("open", "restore"):
            return self._open(call, request)
        if operation == "close":
            session = self._sessions.pop(call, None)
            if session is not None:
                session.close()
            return {"op": "closed"}
        verb = self._verbs.get(str(operation))
        if verb is None:
            return _error("unknown_operation", f"the worker does not know {operation!r}")
        session = self._sessions.get(call)
        if session is None:
            return _NO_SUCH_CALL
        try:
            return verb(session, request)
        except Exception as error:
            return self._failed(call, error)

    def _open(self, call: str, request: wire.Message) -> wire.Message:
        if len(self._sessions) >= self._count:
            return {"op": "busy"}
        try:
            session = self._factory.open(int(request.get("seed", 0)))
            if "snapshot" in request:
                session.restore(Snapshot.read(str(request["snapshot"]), self._factory.model))
        except Exception as error:
            return _reply_to(error)
        self._sessions[call] = session
        return {"op": "opened"}

    def _tick(self, requests: list[wire.Message]) -> list[wire.Message]:
        """A tick of each conversation that is named; of one named twice, one after the other."""
        replies: dict[int, wire.Message] = {}
        waiting = list(enumerate(requests))
        while waiting:
            first = {str(request.get("call", "")): i for i, request in reversed(waiting)}
            waiting = [(i, r) for i, r in waiting if i not in first.values()]
            for call, reply in self._tick_once({c: requests[i] for c, i in first.items()}).items():
                replies[first[call]] = reply
        return [replies[i] for i in range(len(requests))]

    def _tick_once(self, requests: dict[str, wire.Message]) -> dict[str, wire.Message]:
        replies = {call: _NO_SUCH_CALL for call in requests if call not in self._sessions}
        steps: dict[str, Steps] = {}
        for call, request in requests.items():
            if call in self._sessions:
                pcm = wire.decode_pcm(request["pcm"])
                steps[call] = self._sessions[call].steps(pcm, request.get("played_ms"))
        started = self._timer()
        done = run_many(steps, self._factory.executor)
        cost = {"compute_ms": round((self._timer() - started) * 1000, 2)}
        for call, tick in done.items():
            if isinstance(tick, Exception):
                replies[call] = self._failed(call, tick)
            else:
                compute = Event("tick.compute", self._sessions[call].now_ms, cost)
                replies[call] = _ticked(tick, compute)
        return replies

    def _configure(self, session: Session, request: wire.Message) -> wire.Message:
        session.set_instructions(str(request["instructions"]))
        return {"op": "configured"}

    def _item(self, session: Session, request: wire.Message) -> wire.Message:
        session.add_text_turn(request["role"], str(request["text"]))
        return {"op": "added"}

    def _respond(self, session: Session, request: wire.Message) -> wire.Message:
        session.respond()
        return {"op": "responding"}

    def _cancel(self, session: Session, request: wire.Message) -> wire.Message:
        session.cancel()
        return {"op": "cancelling"}

    def _truncate(self, session: Session, request: wire.Message) -> wire.Message:
        text = session.truncate(int(request["reply_id"]), int(request["heard_ms"]))
        return {"op": "truncated", "text": text}

    def _snapshot(self, session: Session, request: wire.Message) -> wire.Message:
        snapshot = session.snapshot(self._factory.model, request.get("played_ms"))
        return {"op": "snapshot", "snapshot": snapshot.model_dump_json()}

    def _failed(self, call: str, error: Exception) -> wire.Message:
        if type(error).__name__ not in REFUSALS:
            self._sessions.pop(call).close()
        return _reply_to(error)


def one_line(error: Exception) -> str:
    """What to tell of an error: its own words, or its type too where it was not expected."""
    text = printable(" ".join(str(error).split()))  # half a character could not be sent
    return text if isinstance(error, DuplexError) else f"{type(error).__name__}: {text}"


def _ticked(tick: Tick, compute: Event) -> wire.Message:
    return {
        "op": "ticked",
        "pcm": wire.encode_pcm(tick.agent_pcm),
        "events": [event.to_json() for event in (*tick.events, compute)],
    }


def _reply_to(error: Exception) -> wire.Message:
    code = type(error).__name__
    if code in REFUSALS:
        return _error(code, one_line(error))
    traceback.print_exception(error)
    return _error("session_broken", one_line(error))


def _error(code: str, message: str) -> wire.Message:
    return {"op": "error", "code": code, "message": message}


_NO_SUCH_CALL: Final[dict[str, Any]] = _error(
    "no_such_call", "this call holds no slot of the worker"
)
