"""One call from answer to end: every 80 ms the user's sound goes to the worker, its reply back."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from duplex_agent.clock import TICK_MS
from duplex_agent.engine.link import TickReply
from duplex_agent.engine.supervisor import Supervisor, WorkerState
from duplex_agent.errors import DuplexError, SessionBroken, SlotsBusy, WorkerDied
from duplex_agent.gateway.deadlines import Deadlines
from duplex_agent.gateway.playout import Playout
from duplex_agent.gateway.receive import UserAudio
from duplex_agent.gateway.webrtc import Peer

log = logging.getLogger(__name__)

FLUSH_EVENTS_S: Final = 0.1
WATCH_EVERY_S: Final = 1.0
MAX_TICK_LATE_S: Final = 0.24
# What has left here is heard this much later: Chromium's own buffer held 40 to 70 ms on loopback.
BROWSER_DELAY_MS: Final = 60


@dataclass(frozen=True)
class CallTimeouts:
    """When a call is given up, in seconds."""

    connect_s: float = 20.0
    no_audio_s: float = 10.0
    whole_call_s: float = 3600.0


ENDINGS: Final = {
    "hangup": "the call was ended",
    "connect_timeout": "the browser did not connect in time",
    "no_audio": "no audio has arrived from the browser for a while",
    "too_long": "the call has reached its time limit",
    "shutdown": "the server is shutting down",
    "closed": "the browser disconnected",
    "session_broken": "the conversation ended with an error in the agent",
}


class Call:
    """Owns one peer and one slot of the worker. ``run`` returns when the call is over."""

    def __init__(self, id: str, supervisor: Supervisor, timeouts: CallTimeouts) -> None:
        self.id = id
        self.audio = UserAudio()
        self.playout = Playout()
        self.peer = Peer(self.audio, self.playout)
        self.ending = ""
        self._supervisor = supervisor
        self._timeouts = timeouts
        self._end = asyncio.Event()
        self._ticks = 0
        self._snapshot: str | None = None  # of the conversation, after its last reply

    def end(self, ending: str) -> None:
        """Ask the call to end for a reason out of ``ENDINGS``; the first one stands."""
        self.ending = self.ending or ending
        self._end.set()

    async def run(self) -> None:
        """Wait for the browser, converse, and give slot and connection back at the end."""
        # Whatever fails or is given up in the end, what stands above it here is done.
        async with AsyncExitStack() as end:
            end.push_async_callback(release_slot, self._supervisor, self.id)
            end.push_async_callback(self.peer.close)
            end.push_async_callback(self._say_goodbye)
            steps = (self._converse, self._watch, self._watch_peer)
            tasks = [asyncio.create_task(self._guard(step), name=self.id) for step in steps]
            end.push_async_callback(_cancel, tasks)
            await self._end.wait()
        log.info("call %s ended: %s", self.id, self.ending)

    async def _guard(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await step()
        except Exception:
            log.exception("call %s broke", self.id)
            self.end("session_broken")

    async def _converse(self) -> None:
        await self.peer.connected.wait()
        self._emit("session.created", call_id=self.id, tick_ms=TICK_MS)
        while not self._end.is_set():
            try:
                await self._tick_on()
            except SessionBroken as error:
                self._emit("error", code="session_broken", message=str(error))
                self.end("session_broken")
            except WorkerDied as error:
                await self._outlive(error)

    async def _tick_on(self) -> None:
        """Tick until something breaks, never running ahead of the clock."""
        deadlines = Deadlines(TICK_MS / 1000, MAX_TICK_LATE_S)
        while True:
            _, wait_s = deadlines.next(time.monotonic())
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            played_ms = self.playout.played_ms(self._ticks * TICK_MS) - BROWSER_DELAY_MS
            block = self.audio.block()
            reply = await self._supervisor.link.tick(self.id, block, max(0, played_ms))
            self._ticks += 1
            # First, so that what the caller has seen to its end survives whatever comes then.
            if any(event["type"] == "reply.done" for event in reply.events):
                self._snapshot = await self._supervisor.link.snapshot(self.id)
            self._deliver(reply)

    def _deliver(self, reply: TickReply) -> None:
        flushed = False
        for event in reply.events:
            if event["type"] == "playback.flush":
                # The tick that stops the voice goes on from the last one, as a file needs it. Here
                # that one may not have been played yet: the playout makes one fade of both.
                event["unheard_ms"] = self.playout.flush(reply.agent_pcm)
                flushed = True
            elif event["type"] == "reply.started":
                event["transport_ms"] = self.audio.delay_ms + self.playout.depth_ms
            self.peer.send(event)
        if not flushed:
            self.playout.push(reply.agent_pcm)

    async def _outlive(self, error: WorkerDied) -> None:
        """Tell the browser, wait for the next worker, and go on there after the last reply."""
        self.playout.flush()
        self._emit("worker.restarting", message=str(error))
        while True:
            await self._supervisor.wait_for(WorkerState.READY)
            try:
                restored = await self._reopen()
            except (WorkerDied, SlotsBusy) as again:
                log.warning("call %s waits for a worker: %s", self.id, again)
                await asyncio.sleep(WATCH_EVERY_S)
                continue
            self._ticks = 0
            self._emit("worker.ready", restored=restored)
            return

    async def _reopen(self) -> bool:
        """Take a slot of a new worker; whether it remembers the conversation."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is None:
            await self._supervisor.link.open(self.id)
            return False
        try:
            await self._supervisor.link.restore(self.id, snapshot)
        except SlotsBusy:
            self._snapshot = snapshot
            raise
        except DuplexError as error:
            # What a worker cannot take, or dies of, is not tried on the next one.
            self._emit("error", message=f"the conversation could not be restored: {error}")
            return await self._reopen()
        self._snapshot = snapshot
        return True

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                await self.peer.connected.wait()
        except TimeoutError:
            self.end("connect_timeout")
            return
        started_s = time.monotonic()
        while True:
            await asyncio.sleep(min(WATCH_EVERY_S, self._timeouts.no_audio_s / 2))
            now_s = time.monotonic()
            if now_s - self.peer.last_packet_s > self._timeouts.no_audio_s:
                self.end("no_audio")
            elif now_s - started_s > self._timeouts.whole_call_s:
                self.end("too_long")

    async def _watch_peer(self) -> None:
        await self.peer.closed.wait()
        self.end("closed")

    async def _say_goodbye(self) -> None:
        if not self.peer.closed.is_set():
            self._emit("call.ended", reason=self.ending, message=ENDINGS[self.ending])
            await asyncio.sleep(FLUSH_EVENTS_S)

    def _emit(self, type: str, **data: Any) -> None:
        self.peer.send({"type": type, "at_ms": self._ticks * TICK_MS, **data})


async def release_slot(supervisor: Supervisor, id: str) -> None:
    """Give the slot of a call back; the slots of a dead worker died with it."""
    try:
        await supervisor.link.close_call(id)
    except WorkerDied:
        return


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
