"""How many callers a server holds: 1..N at once, and what each of them gets.

Every caller has a conversation of its own, in real time, through the whole network path. The
results are those of the suite's metrics (turns by Silero and energy on the recorded channel), the
packets' lateness at the caller's ear, and what the server's processes cost when they run here.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import typer
import uvloop

from duplex_agent.terminal import Console
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Anchor, Item, Scenario
from duplex_evals.conversation.user_channel import UserChannel
from duplex_evals.errors import EvalError, TargetError
from duplex_evals.families import smooth_turn
from duplex_evals.metrics import turns
from duplex_evals.metrics.conversation import listen
from duplex_evals.network.calibration import Calibration
from duplex_evals.network.call_result import CallResult
from duplex_evals.network.endpoints import Endpoint, TargetBusy, wait_until_ready
from duplex_evals.network.server_usage import ServerUsage, Usage
from duplex_evals.network.webrtc_caller import call, scenario_user
from duplex_evals.performance.load_report import Limit, LoadReport, LoadRow, table, write_report
from duplex_evals.runners.targets import WebRtcTarget, parse_target

TURNS: Final = 3
TURN_EVERY_MS: Final = 6_000  # from the end of a turn to the next, whatever the agent does
STAGGER_S: Final = 0.5  # callers do not come in step
SETTLE_S: Final = 2.0  # of every conversation, until the server is looked at


def run_load(
    url: str,
    callers: Sequence[int],
    limit: Limit | None = None,
    *,
    scenarios: Sequence[Scenario] | None = None,
    seed: int = 0,
    say: Callable[[LoadRow], None] = lambda row: None,
) -> LoadReport:
    """Try every number of ``callers`` at once, the smallest first, and see which meet ``limit``.

    ``scenarios`` are handed out in turn; by default ``conversations``. Raises TargetError when
    nothing answers at ``url``, and ClipError.
    """
    target = parse_target(url)
    if not isinstance(target, WebRtcTarget):
        raise TargetError("load is measured over WebRTC: give the URL of a server")
    wait_until_ready(target.endpoint)
    limit = limit or Limit()
    told = list(scenarios or conversations())
    report = LoadReport(target.name, target.calibration, limit, [])
    for count in sorted(callers):
        row = measure(target.endpoint, count, told, report.calibration, seed)
        report.rows.append(row)
        say(row)
        if not row.completed:
            break
    if not any(row.completed for row in report.rows):
        raise TargetError(report.rows[-1].error)
    return report


def conversations() -> list[Scenario]:
    """Three turns each, six seconds apart, half in synthetic voices, half human."""
    items = [scenario.items[0] for scenario in smooth_turn.scenarios()]
    return [
        Scenario(
            id=f"load-{first:02d}",
            family="custom",
            items=[_turn(items[(first + i) % len(items)], i) for i in range(TURNS)],
            tail_s=TURN_EVERY_MS / 1000,
        )
        for first in range(len(items))
    ]


def _turn(item: Item, index: int) -> Item:
    anchor = Anchor(delay_ms=1_000)
    if index:
        anchor = Anchor(to="item_end", item=f"turn{index - 1}", delay_ms=TURN_EVERY_MS)
    return item.model_copy(update={"name": f"turn{index}", "anchor": anchor})


def measure(
    endpoint: Endpoint,
    callers: int,
    scenarios: Sequence[Scenario],
    calibration: Calibration,
    seed: int,
) -> LoadRow:
    """``callers`` conversations at once with the server behind ``endpoint``."""
    told = [scenarios[index % len(scenarios)] for index in range(callers)]
    # Clips are made before the first call: that work would disturb the pace.
    users = [scenario_user(scenario, seed + index) for index, scenario in enumerate(told)]
    server = ServerUsage.of(endpoint.url)
    idle = server.look() if server else None
    ended, used = uvloop.run(_call_all(endpoint, told, users, calibration, seed, server))
    return _row(callers, ended, idle, used)


Ended = tuple[Record, CallResult] | EvalError


async def _call_all(
    endpoint: Endpoint,
    told: Sequence[Scenario],
    users: Sequence[UserChannel],
    calibration: Calibration,
    seed: int,
    server: ServerUsage | None,
) -> tuple[list[Ended], Usage | None]:
    rng = random.Random(seed)
    delays = [0.0] + [rng.uniform(0, STAGGER_S * len(users)) for _ in users[1:]]

    async def one(scenario: Scenario, user: UserChannel, delay_s: float) -> Ended:
        await asyncio.sleep(delay_s)
        try:
            return await call(endpoint, user, scenario, seed, calibration)
        except EvalError as error:
            return error

    calls = [asyncio.create_task(one(*of)) for of in zip(told, users, delays, strict=True)]
    looks: list[Usage] = []
    if server is not None:
        # Who is refused has ended by then; the measure is of those who talk.
        _, talking = await asyncio.wait(calls, timeout=SETTLE_S + STAGGER_S * len(users))
        server.look()  # what came before is calls being answered
        if talking:
            await asyncio.wait(talking, return_when=asyncio.FIRST_COMPLETED)
            looks = [server.look()]
    return list(await asyncio.gather(*calls)), looks[0] if looks else None


def _row(callers: int, ended: Sequence[Ended], idle: Usage | None, used: Usage | None) -> LoadRow:
    errors = [end for end in ended if isinstance(end, EvalError)]
    whole = [end for end in ended if not isinstance(end, EvalError)]
    refused = sum(isinstance(error, TargetBusy) for error in errors)
    seen = [o for record, _ in whole for o in turns.observe(listen(record))]
    answered = [o.value for o in seen if o.metric == "voice_to_voice_answered"]
    missed = [o.value for o in seen if o.metric == "missed_response_rate"]
    results = [r for _, r in whole]
    minutes = sum(r.wall_s for r in results) / 60
    measured = used is not None and idle is not None and bool(whole)
    return LoadRow(
        callers=callers,
        completed=len(whole),
        refused=refused,
        failed=len(errors) - refused,
        turns=len(missed),
        missed_share=float(np.mean(missed)) if missed else None,
        p50_ms=_percentile(answered, 50),
        p90_ms=_percentile(answered, 90),
        p95_ms=_percentile(answered, 95),
        late_share=_share(sum(r.late for r in results), sum(r.packets for r in results)),
        gaps_per_min=sum(r.gaps for r in results) / minutes if minutes else None,
        sent_late_share=_share(sum(r.sent_late for r in results), sum(r.sent for r in results)),
        cores=used.cores if used else None,
        memory_mib=used.memory_mib if used else None,
        session_cores=used.cores / len(whole) if measured and used else None,
        session_mib=(
            (used.memory_mib - idle.memory_mib) / len(whole) if measured and used and idle else None
        ),
        error=str(errors[0]) if errors else "",
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percentile(values: Sequence[float], point: int) -> float | None:
    """The smallest value that at least ``point`` per cent do not exceed."""
    if not values:
        return None
    return float(np.percentile(values, point, method="inverted_cdf"))


def parse_callers(text: str) -> list[int]:
    """``1..4`` or ``1,2,8`` as numbers. Raises ValueError."""
    first, dots, last = text.partition("..")
    counts = list(range(int(first), int(last) + 1)) if dots else [int(n) for n in text.split(",")]
    if not counts or min(counts) < 1:
        raise ValueError(f"{text!r} is no number of callers: write 1..4 or 1,2,8")
    return counts


def main(url: str, callers: str, p95_ms: float, out: Path | None) -> None:
    """Load a server and print the capacity table."""
    try:
        counts = parse_callers(callers)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    console = Console()
    report = run_load(
        url,
        counts,
        Limit(p95_ms=p95_ms),
        say=lambda row: console.print(f"{row.callers} callers: {row.completed} whole {row.error}"),
    )
    console.print(table(report))
    if out is not None:
        write_report(report, out)
