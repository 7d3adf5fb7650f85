"""All calls of this process: admission, look-up, shutdown."""

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack
from typing import Final

from duplex_agent.engine.supervisor import Supervisor
from duplex_agent.errors import DuplexError, SlotsBusy, WorkerDied
from duplex_agent.gateway.api_error import ApiError
from duplex_agent.gateway.call import Call, CallTimeouts, release_slot
from duplex_agent.gateway.offer import check_offer

log = logging.getLogger(__name__)

RETRY_FULL_S: Final = 5
RETRY_STARTING_S: Final = 2
CLOSE_TIMEOUT_S: Final = 8.0


class Calls:
    """A slot of the worker is taken before an offer is answered, so an answer is a promise."""

    def __init__(self, supervisor: Supervisor, timeouts: CallTimeouts) -> None:
        self._supervisor = supervisor
        self._timeouts = timeouts
        self._running: dict[str, tuple[Call, asyncio.Task[None]]] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._running)

    async def answer(self, offer: str) -> tuple[str, str]:
        """Id of the new call and the SDP answer.

        Raises ApiError: 400 for a bad offer, 503 when no worker is ready or no slot is free.
        """
        check_offer(offer)
        if self._closing:
            raise ApiError(503, "shutting_down", "the server is shutting down")
        id = f"rtc_{secrets.token_urlsafe(12)}"
        async with AsyncExitStack() as undo:
            # Pushed first: a request that is given up may have taken the slot already.
            undo.push_async_callback(release_slot, self._supervisor, id)
            await self._take_slot(id)
            call = Call(id, self._supervisor, self._timeouts)
            undo.push_async_callback(call.peer.close)
            answer = await call.peer.answer(offer)
            undo.pop_all()
        task = asyncio.create_task(call.run(), name=id)
        self._running[id] = (call, task)
        task.add_done_callback(lambda _: self._running.pop(id, None))
        return id, answer

    async def hang_up(self, id: str) -> None:
        """End a call and wait until its slot is free; ApiError 404 for an unknown id."""
        if id not in self._running:
            raise ApiError(404, "call_not_found", "there is no such call, or it has ended")
        call, task = self._running[id]
        call.end("hangup")
        await asyncio.wait([task])

    async def close(self) -> None:
        """End every call; one that does not end in time must not hold the server up."""
        self._closing = True
        running = list(self._running.values())
        for call, _ in running:
            call.end("shutdown")
        if running:
            _, stuck = await asyncio.wait([task for _, task in running], timeout=CLOSE_TIMEOUT_S)
            for task in stuck:
                log.error("call %s did not end", task.get_name())
                task.cancel()

    async def _take_slot(self, id: str) -> None:
        try:
            await self._supervisor.link.open(id)
        except SlotsBusy as error:
            message = "the agent is in another conversation; try again in a moment"
            raise ApiError(503, "session_limit_reached", message, RETRY_FULL_S) from error
        except WorkerDied as error:
            message = f"the agent is {self._supervisor.state}; try again in a moment"
            raise ApiError(503, "worker_starting", message, RETRY_STARTING_S) from error
        except DuplexError as error:
            message = f"the conversation could not be opened: {error}"
            raise ApiError(500, "session_broken", message) from error
