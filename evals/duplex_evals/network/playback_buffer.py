"""Sound that a client has received and not yet played: a WebSocket sends faster than real time."""

import numpy as np
from numpy.typing import NDArray

from duplex_evals.network.call_result import CallResult


class PlaybackBuffer:
    """Plays what comes, in order, into the timeline of ``result``; times are its samples."""

    def __init__(self, result: CallResult) -> None:
        self._result = result
        self._item = ""
        self._received = 0  # samples of the item that plays
        self._flushed: set[str] = set()

    def push(self, item: str, pcm: NDArray[np.float32], now: int) -> None:
        """Sound of ``item`` that comes ``now``; of an item that was flushed nothing is played."""
        if item in self._flushed:
            return
        timeline = self._result.timeline
        continues = item == self._item
        if not continues:
            self._item, self._received = item, 0
        self._result.packets += 1
        if continues and now > timeline.end and timeline.audible_before(timeline.end):
            self._result.late += 1
            self._result.gaps += 1
            self._result.gap_ms += (now - timeline.end) * 1000 / timeline.rate_hz
        timeline.write(max(now, timeline.end), pcm)
        self._received += len(pcm)

    def flush(self, now: int) -> tuple[str, int] | None:
        """Throw away what waits. The item and how many ms of it were heard; None: none waited."""
        timeline = self._result.timeline
        unheard = timeline.end - now
        if unheard <= 0 or not self._item:
            return None
        timeline.wipe(now)
        self._flushed.add(self._item)
        heard = max(0, self._received - unheard)
        return self._item, heard * 1000 // timeline.rate_hz
