"""Collects what happens in a tick, in order."""

from typing import Any

from duplex_agent.duplex.events import Event


class Timeline:
    """The events of the tick in progress; ``now_ms`` is the session's time when it ends."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._events: list[Event] = []

    def emit(self, type_: str, **data: Any) -> None:
        """Something happened now; ``EVENT_TYPES`` names the keys of ``data``."""
        self._events.append(Event(type_, self.now_ms, data))

    def take(self) -> tuple[Event, ...]:
        """The events since the last call."""
        events, self._events = self._events, []
        return tuple(events)
