"""What one networked call gave, and how it becomes a record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS, USER_RATE_HZ
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.network.calibration import Calibration
from duplex_evals.network.paced_user import PacedUser
from duplex_evals.network.protocols import on_caller_clock
from duplex_evals.network.timeline import Timeline
from duplex_evals.network.user_side import UserSide

Audio = NDArray[np.float32]


@dataclass
class CallResult:
    """Filled while a call goes on.

    ``late`` of ``packets`` came too late to be heard; ``gaps`` are holes in audible sound,
    ``gap_ms`` their whole length. ``sent_late`` of ``sent`` pieces left this machine late.
    """

    timeline: Timeline
    said: list[Audio] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    packets: int = 0
    late: int = 0
    gaps: int = 0
    gap_ms: float = 0.0
    sent: int = 0
    sent_late: int = 0
    wall_s: float = 0.0

    def speaker(self, user: UserSide) -> Callable[[], Audio | None]:
        """What a ``PacedUser`` asks: the user's next tick, given what has been heard in it."""

        def next_tick() -> Audio | None:
            if user.done:
                return None
            at_ms = len(self.said) * TICK_MS
            self.said.append(user.step(self.timeline.heard(at_ms, at_ms + TICK_MS)))
            return self.said[-1]

        return next_tick

    def close(self, user: PacedUser) -> None:
        """Take over the pace that was kept; raises what the user raised."""
        if user.error is not None:
            raise user.error
        self.sent, self.sent_late = user.sent, user.late
        self.wall_s = user.now_s()


def record_of(
    result: CallResult,
    scenario: Scenario,
    seed: int,
    *,
    agent_name: str,
    transport: str,
    placed: UserSide,
    calibration: Calibration,
    playout_ms: float = 0.0,
) -> Record:
    """Both channels, the agent's less the calibrated delay.

    ``playout_ms`` is the part of that delay that sound has and events have not.
    """
    user = np.concatenate(result.said) if result.said else np.zeros(0, np.float32)
    offset_ms = calibration.delay_ms
    events = on_caller_clock(result.events, max(0.0, offset_ms - playout_ms))
    return Record(
        scenario=scenario,
        agent_name=agent_name,
        seed=seed,
        user=user,
        agent=result.timeline.heard(offset_ms, offset_ms + len(user) * 1000 / USER_RATE_HZ),
        placed=placed.placed,
        events=[e for e in events if e["type"] != "tick.compute"],
        compute_ms=[float(e["compute_ms"]) for e in events if e["type"] == "tick.compute"],
        transport=transport,
        offset_ms=offset_ms,
        late_packets=result.late,
        wall_s=result.wall_s,
    )
