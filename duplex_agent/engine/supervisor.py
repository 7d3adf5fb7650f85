"""Starts the worker, watches it, starts it again when it dies, and says how things stand."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from duplex_agent.engine.link import WorkerLink
from duplex_agent.engine.sessions import DEFAULT_FACTORY
from duplex_agent.errors import WorkerDied
from duplex_agent.spec import AgentSpec

log = logging.getLogger(__name__)

STOP_GRACE_S: Final = 3.0
FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 30.0


class WorkerState(StrEnum):
    """What ``/readyz`` and the page say about the worker."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


Listener = Callable[[WorkerState, str], None]


class Supervisor:
    """One worker process, kept alive until ``stop``.

    ``factory`` names the callable (``module:attribute``) that makes sessions of ``spec`` in the
    worker.
    """

    def __init__(
        self, spec: AgentSpec | None = None, factory: str = DEFAULT_FACTORY, slots: int = 1
    ) -> None:
        self._spec = spec or AgentSpec()
        self._factory = factory
        self._slots = slots
        self._process: asyncio.subprocess.Process | None = None
        self._link: WorkerLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._listeners: list[Listener] = []
        self.state = WorkerState.STOPPED
        self.detail = ""
        self.restarts = 0

    @property
    def link(self) -> WorkerLink:
        """The way to the worker; WorkerDied while there is none."""
        if self._link is None or self.state is not WorkerState.READY:
            raise WorkerDied(self.detail or f"the worker is {self.state}")
        return self._link

    @property
    def pid(self) -> int | None:
        """Process id of the worker that runs now."""
        return None if self._process is None else self._process.pid

    def on_change(self, listener: Listener) -> None:
        """Call ``listener(state, detail)`` after every change."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin to keep a worker alive; returns at once."""
        self._task = asyncio.create_task(self._keep_alive(), name="worker-supervisor")

    async def wait_for(self, state: WorkerState) -> None:
        """Wait until the worker is in ``state``."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state is state)

    async def stop(self) -> None:
        """End the worker and wait until it is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._set(WorkerState.STOPPED, "")

    async def _keep_alive(self) -> None:
        retry_s = FIRST_RETRY_S
        await self._set(WorkerState.STARTING, "")
        while True:
            reason = ""
            try:
                link = await self._spawn()
                await link.wait_ready()
                self._link = link
                retry_s = FIRST_RETRY_S
                await self._set(WorkerState.READY, "")
                await link.closed.wait()
            except (WorkerDied, OSError) as error:
                reason = str(error)
            finally:
                code = await self._end_worker()
            self.restarts += 1
            reason = reason or _ending(code)
            log.warning("%s", reason)
            await self._set(WorkerState.RESTARTING, reason)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    async def _spawn(self) -> WorkerLink:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            arguments = ["--socket", str(theirs.fileno()), "--factory", self._factory]
            arguments += ["--spec", self._spec.model_dump_json()]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "duplex_agent.engine.worker", "--slots", str(self._slots)),
                *arguments,
                stdin=asyncio.subprocess.PIPE,  # its end tells the worker that we are gone
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in the terminal is for the gateway, which then ends the worker in order.
                start_new_session=True,
                env={"OMP_NUM_THREADS": "1", **os.environ},
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        self._link = WorkerLink(reader, writer)
        return self._link

    async def _end_worker(self) -> int | None:
        link, self._link = self._link, None
        process, self._process = self._process, None
        if link is not None:
            await link.close()
        if process is None:
            return None
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_GRACE_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _set(self, state: WorkerState, detail: str) -> None:
        self.state, self.detail = state, detail
        async with self._changed:
            self._changed.notify_all()
        for listener in self._listeners:
            listener(state, detail)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the worker was killed by signal {-code}"
    return f"the worker ended with exit code {code}"
