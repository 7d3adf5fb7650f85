"""Absolute deadlines of something periodic, and what to do when it falls behind. Pure."""


class Deadlines:
    """When each step of a period is due.

    Steps that are a little late are made up for one after the other; a stall longer than
    ``max_late_s`` is skipped over, because catching up would come out as a burst.
    """

    def __init__(self, period_s: float, max_late_s: float) -> None:
        self._period_s = period_s
        self._max_late_s = max_late_s
        self._start_s: float | None = None
        self._next = 0
        self.skipped = 0

    def next(self, now_s: float) -> tuple[int, float]:
        """Index of the next step and the seconds to wait for it (0 when it is late)."""
        if self._start_s is None:
            self._start_s = now_s
        late_s = now_s - self._due(self._next)
        if late_s > self._max_late_s:
            steps = int(late_s / self._period_s)
            self._next += steps
            self.skipped += steps
        index = self._next
        self._next += 1
        return index, max(0.0, self._due(index) - now_s)

    def _due(self, index: int) -> float:
        assert self._start_s is not None
        return self._start_s + index * self._period_s
