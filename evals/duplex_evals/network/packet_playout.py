"""When each RTP packet is heard: a browser's jitter buffer with a delay that is known. Pure.

aiortc's own buffer is of no use for measuring: its delay depends on what was lost before. Here
sound plays ``DELAY`` after the fastest packet of the stream's first second came, so that two
calls over the same network have the same delay, and what comes later than that counts as late.
All numbers are samples of 48 kHz, on the caller's clock or on that of the RTP timestamps.
"""

from collections import deque
from typing import Final

RTP_HZ: Final = 48_000
DELAY: Final = RTP_HZ * 60 // 1000  # Chromium's own held 40 to 70 ms on loopback
LEARN: Final = RTP_HZ
WINDOW_PACKETS: Final = 100
LATE_IN_A_ROW: Final = 10  # a fifth of a second of lateness is no jitter: follow the sender
SURPLUS: Final = RTP_HZ * 40 // 1000
NEW_STREAM: Final = 5 * RTP_HZ


class PacketPlayout:
    """Places packets by their 32-bit RTP timestamps.

    ``rebased`` counts how often the sender's clock had to be followed.
    """

    def __init__(self) -> None:
        self.rebased = 0
        self._started = False
        self._newest = 0  # unwrapped timestamp
        self._base = 0  # caller's clock minus timestamp, for what is heard
        self._learn_until = 0
        self._slack: deque[int] = deque(maxlen=WINDOW_PACKETS)
        self._late_in_a_row = 0

    def place(self, timestamp: int, now: int) -> int | None:
        """Where a packet that comes ``now`` is heard, or None: it comes too late."""
        at = self._unwrap(timestamp)
        if not self._started:
            self._started = True
            self._start(at, now)
        elif abs(at + self._base - now) > NEW_STREAM:
            self._rebase(at, now)
        elif now < self._learn_until:
            self._base = min(self._base, now - at + DELAY)
        slack = at + self._base - now
        if slack < 0:
            self._late_in_a_row += 1
            if self._late_in_a_row < LATE_IN_A_ROW:
                return None
            self._rebase(at, now)
            return at + self._base
        self._late_in_a_row = 0
        self._slack.append(slack)
        self._shed_surplus()
        return at + self._base

    def _start(self, at: int, now: int) -> None:
        self._base = now - at + DELAY
        self._learn_until = now + LEARN
        self._slack.clear()

    def _rebase(self, at: int, now: int) -> None:
        self.rebased += 1
        self._late_in_a_row = 0
        self._start(at, now)

    def _shed_surplus(self) -> None:
        """Play earlier when no packet of the last two seconds has needed the delay it had."""
        if len(self._slack) < WINDOW_PACKETS:
            return
        surplus = min(self._slack) - DELAY
        if surplus > SURPLUS:
            self._base -= surplus
            self.rebased += 1
            self._slack.clear()

    def _unwrap(self, timestamp: int) -> int:
        if not self._started:
            self._newest = timestamp
            return timestamp
        distance = (timestamp - self._newest) & 0xFFFFFFFF
        at = self._newest + (distance - (1 << 32) if distance >= 1 << 31 else distance)
        self._newest = max(self._newest, at)
        return at
