"""The gateway's end of the worker socket: open a slot, run a tick, close. Imports no torch."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.engine import wire
from duplex_agent.errors import REFUSALS, SessionBroken, SlotsBusy, WorkerDied

HUNG_AFTER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class TickReply:
    """One tick's answer: float32 [1920] at 24 kHz, and its events as JSON objects."""

    agent_pcm: NDArray[np.float32]
    events: list[dict[str, Any]]


class WorkerLink:
    """Requests and replies over one connection.

    Every request may fail with WorkerDied, and with SessionBroken when only this call is lost.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[wire.Message]] = {}
        self._pump: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()

    async def wait_ready(self) -> int:
        """Number of slots, once the worker has loaded its model; WorkerDied if it cannot."""
        while True:
            message = await wire.read(self._reader)
            if message.get("op") == "failed":
                raise WorkerDied(str(message.get("message", "the model could not be loaded")))
            if message.get("op") == "ready":
                self._pump = asyncio.create_task(self._read_replies(), name="worker-link")
                return int(message["slots"])

    async def open(self, call: str, seed: int = 0) -> None:
        """Take a slot for ``call``; SlotsBusy when none is free."""
        await self._open({"op": "open", "call": call, "seed": seed})

    async def restore(self, call: str, snapshot: str, seed: int = 0) -> None:
        """Take a slot and go on with the conversation in ``snapshot``.

        SlotsBusy when none is free, SnapshotError when this worker cannot go on with it.
        """
        await self._open({"op": "restore", "call": call, "seed": seed, "snapshot": snapshot})

    async def tick(
        self, call: str, user_pcm: NDArray[np.float32], played_ms: int | None = None
    ) -> TickReply:
        """Run one tick on float32 [1280]; AudioError when the worker refuses the sound.

        ``played_ms``: up to which time of the session the listener has heard the agent.
        """
        pcm = wire.encode_pcm(user_pcm)
        reply = await self._ask({"op": "tick", "call": call, "pcm": pcm, "played_ms": played_ms})
        return TickReply(wire.decode_pcm(reply["pcm"]), reply["events"])

    async def configure(self, call: str, instructions: str) -> None:
        """Another system prompt from the next turn on; ContextFull or TextError."""
        await self._ask({"op": "configure", "call": call, "instructions": instructions})

    async def item(self, call: str, role: str, text: str) -> None:
        """Add a turn of text that asks for no reply; ContextFull or TextError."""
        await self._ask({"op": "item", "call": call, "role": role, "text": text})

    async def respond(self, call: str) -> None:
        """Ask for a reply in the next tick."""
        await self._ask({"op": "respond", "call": call})

    async def cancel(self, call: str) -> None:
        """End the reply in progress in the next tick."""
        await self._ask({"op": "cancel", "call": call})

    async def truncate(self, call: str, reply_id: int, heard_ms: int) -> str:
        """Only so much of the latest reply was heard; the text that stays. TextError."""
        reply = await self._ask(
            {"op": "truncate", "call": call, "reply_id": reply_id, "heard_ms": heard_ms}
        )
        return str(reply["text"])

    async def snapshot(self, call: str, played_ms: int | None = None) -> str:
        """The conversation as text that another worker restores."""
        reply = await self._ask({"op": "snapshot", "call": call, "played_ms": played_ms})
        return str(reply["snapshot"])

    async def close_call(self, call: str) -> None:
        """Give the slot back; a dead worker has none to give back."""
        try:
            await self._request({"op": "close", "call": call})
        except WorkerDied:
            return

    async def close(self) -> None:
        """Hang up, which ends the worker."""
        self._fail("the connection to the worker was closed")
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def _open(self, message: wire.Message) -> None:
        if (await self._ask(message))["op"] == "busy":
            raise SlotsBusy("every slot of the worker is taken")

    async def _ask(self, message: wire.Message) -> wire.Message:
        """A request whose refusal is raised as what it was in the worker."""
        reply = await self._request(message)
        if reply["op"] == "error":
            raise REFUSALS.get(reply["code"], SessionBroken)(reply["message"])
        return reply

    async def _request(self, message: wire.Message) -> wire.Message:
        if self.closed.is_set():
            raise WorkerDied("the worker is not running")
        number = next(self._ids)
        reply: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            self._writer.write(wire.pack({**message, "id": number}))
            # Not wait_for: in Python 3.11 it loses a cancellation that meets the reply.
            async with asyncio.timeout(HUNG_AFTER_S):
                return await reply
        except TimeoutError as error:
            self._fail(f"the worker has not answered for {HUNG_AFTER_S:.0f} s")
            raise WorkerDied(f"the worker has not answered for {HUNG_AFTER_S:.0f} s") from error
        except ConnectionError as error:
            raise WorkerDied("the connection to the worker ended") from error
        finally:
            self._waiting.pop(number, None)

    async def _read_replies(self) -> None:
        try:
            while True:
                message = await wire.read(self._reader)
                reply = self._waiting.get(message.get("id", 0))
                if reply is not None and not reply.done():
                    reply.set_result(message)
        except WorkerDied as error:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        self.closed.set()
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(WorkerDied(reason))
