"""What a server on this machine costs: CPU and memory of its process and of its children."""

import time
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Between two looks. ``cores``: CPU seconds a second; ``memory_mib``: resident, now."""

    cores: float
    memory_mib: float


class ServerUsage:
    """Looks at one process tree; every ``look`` measures since the one before."""

    def __init__(self, process: psutil.Process) -> None:
        self._root = process
        self._spent = self._spent_s()
        self._at_s = time.monotonic()

    @classmethod
    def of(cls, url: str) -> Self | None:
        """The server that listens at ``url``; None when it is not on this machine, or hidden."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            return None
        try:
            listening = psutil.net_connections("tcp")
        except psutil.AccessDenied:
            return None
        for connection in listening:
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return cls(psutil.Process(connection.pid))
        return None

    def look(self) -> Usage:
        """What the tree has used since the last look, and the memory it holds."""
        spent, at_s = self._spent_s(), time.monotonic()
        cores = (spent - self._spent) / max(1e-3, at_s - self._at_s)
        self._spent, self._at_s = spent, at_s
        return Usage(max(0.0, cores), self._memory_mib())

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _spent_s(self) -> float:
        total = 0.0
        for process in self._tree():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def _memory_mib(self) -> float:
        total = 0
        for process in self._tree():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 2**20
