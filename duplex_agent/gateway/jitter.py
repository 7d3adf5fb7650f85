"""Orders packets that come late, twice, out of order or never, into one steady stream. Pure.

aiortc's own buffer waits for sixteen packets after a single loss and keeps that delay for the
rest of the call. This one conceals a loss, remembers how much delay the network really needs,
and gives surplus delay back. It has no clock: time passes by calls of ``pop``, made every 80 ms
until a tick is full, and by the RTP timestamps themselves (48 kHz, 32 bits, wrapping).

How the depth adapts: ``tick_done`` looks at what is left after each tick. What was left in the
worst tick of the last second is delay that nobody needed; above the target it is surplus, which
the caller removes by asking for packets and dropping them. Running dry raises the target by one
packet, ten quiet seconds lower it again.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

RTP_HZ: Final = 48_000
FRAME: Final = RTP_HZ // 50  # one packet of 20 ms
MIN_TARGET: Final = FRAME
MAX_TARGET: Final = 6 * FRAME  # 120 ms
MAX_GAP: Final = 6 * FRAME  # a longer hole is not filled but jumped over
MAX_DEPTH: Final = 15 * FRAME  # 300 ms: past this, old sound is thrown away at once
RESTART_AFTER: Final = RTP_HZ  # a timestamp this far in the past means a new stream
WINDOW_TICKS: Final = 12  # about a second
CALM_TICKS: Final = 125  # ten seconds
FIRST_TICK: Final = 4 * FRAME


class Missing(Enum):
    """Why there is no packet to play."""

    LOST = auto()  # it never came: conceal it, later ones are here
    LATE = auto()  # nothing has come yet: conceal, and play it when it comes
    IDLE = auto()  # the stream has not begun


@dataclass(frozen=True, slots=True)
class Packet:
    """One payload and how many 48 kHz samples it decodes to."""

    payload: bytes
    samples: int


@dataclass(slots=True)
class JitterCounters:
    """What has happened so far, for metrics."""

    received: int = 0
    too_late: int = 0
    duplicate: int = 0
    concealed: int = 0
    underruns: int = 0
    jumped: int = 0


class JitterBuffer:
    """Packets in by ``add``, one stream out by ``pop``."""

    def __init__(self) -> None:
        self.counters = JitterCounters()
        self._packets: dict[int, Packet] = {}
        self._head = 0  # unwrapped timestamp that is to be played next
        self._newest = 0  # unwrapped timestamp after the newest packet
        self._started = False
        self._playing = False
        self._owed = 0  # samples concealed while waiting, which time has since covered
        self._target = MIN_TARGET
        self._left: deque[int] = deque(maxlen=WINDOW_TICKS)
        self._ran_dry = False
        self._calm = 0

    @property
    def depth(self) -> int:
        """Samples from the play head to the end of the newest packet."""
        return self._newest - self._head if self._packets else 0

    @property
    def target(self) -> int:
        """Samples that should be left after a tick, at least."""
        return self._target

    @property
    def surplus(self) -> int:
        """Samples of delay beyond the target that the last second has not needed."""
        if len(self._left) < WINDOW_TICKS:
            return 0
        return max(0, min(self._left) - self._target)

    def add(self, timestamp: int, payload: bytes, samples: int) -> None:
        """Take one packet with its 32-bit RTP ``timestamp``; ``samples`` is its duration."""
        self.counters.received += 1
        at = self._unwrap(timestamp)
        if at < self._head - RESTART_AFTER:
            self._restart()
        if not self._started:
            self._started = True
            self._head = self._newest = at
        if at < self._head:
            if self._playing:
                self.counters.too_late += 1
                return
            self._head = at  # the first packets came in the wrong order
        if at in self._packets:
            self.counters.duplicate += 1
            return
        self._packets[at] = Packet(payload, samples)
        self._newest = max(self._newest, at + samples)
        if self.depth > MAX_DEPTH:
            self._jump(self._newest - self._target - FIRST_TICK)

    def pop(self) -> Packet | Missing:
        """The next packet in order, or why there is none; each Missing stands for 20 ms."""
        if not self._playing and not self._begin():
            return Missing.IDLE
        if not self._packets:
            self._ran_dry = True
            self._owed += FRAME
            self.counters.underruns += 1
            return Missing.LATE
        first = min(self._packets)
        self._pass_gap(first)
        if first > self._head:
            self._head += min(FRAME, first - self._head)
            self.counters.concealed += 1
            return Missing.LOST
        packet = self._packets.pop(first)
        self._head = first + packet.samples
        for at in [at for at in self._packets if at < self._head]:
            del self._packets[at]  # a packet that claims time which was already played
        return packet

    def tick_done(self) -> None:
        """Say that a tick has its sound: adapts the target and the surplus."""
        if not self._playing:
            return
        self._left.append(self.depth)
        if self._ran_dry:
            self._target = min(MAX_TARGET, self._target + FRAME)
            self._calm = 0
        elif (calm := self._calm + 1) >= CALM_TICKS:
            self._target = max(MIN_TARGET, self._target - FRAME)
            self._calm = 0
        else:
            self._calm = calm
        self._ran_dry = False

    def drained(self, samples: int) -> None:
        """Say that the caller dropped a packet of ``samples`` to reduce the surplus."""
        self._left = deque((left - samples for left in self._left), maxlen=WINDOW_TICKS)

    def _begin(self) -> bool:
        """Start to play once a tick and the target are here; what is older is not waited for."""
        enough = FIRST_TICK + self._target
        if self.depth < enough:
            return False
        self._playing = True
        self._forget_before(self._newest - enough)
        return True

    def _pass_gap(self, first: int) -> None:
        self._head = min(first, self._head + self._owed)
        self._owed = 0
        if first - self._head > MAX_GAP:
            self._jump(first)

    def _jump(self, to: int) -> None:
        self.counters.jumped += 1
        self._forget_before(to)
        self._left.clear()

    def _forget_before(self, to: int) -> None:
        """Drop what ends before ``to``: a packet that reaches beyond it is kept whole."""
        for at in [at for at, packet in self._packets.items() if at + packet.samples <= to]:
            del self._packets[at]
        self._head = min(self._packets)

    def _restart(self) -> None:
        self._packets.clear()
        self._started = self._playing = False
        self._left.clear()

    def _unwrap(self, timestamp: int) -> int:
        distance = (timestamp - self._newest) & 0xFFFFFFFF
        return self._newest + (distance - (1 << 32) if distance >= 1 << 31 else distance)
