"""A call of an hour in minutes: what a tick costs at its end, and what is still remembered.

duplex-evals long-call [--minutes N] [--seed N] [--out FILE] [--check]

A synthetic user talks to ``Conversation.tick`` with the shipped ear, thinker and voice, as fast
as the machine goes. The last ten minutes are compared with the first ten after a minute of warm-up
(shorter calls: with halves). Then the call goes on while a fresh one is held, turn by turn:
a machine that became slower meanwhile is slower for both. Neither way may show growth above the
target. Facts are asked for one, three and five minutes after they were told.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import psutil
import typer
from numpy.typing import NDArray
from rich.progress import Progress
from rich.table import Table

from duplex_agent.clock import TICK_MS, USER_TICK_SAMPLES
from duplex_agent.engine.conversation import Conversation
from duplex_agent.offline.turns import TurnLog, TurnRow
from duplex_agent.terminal import Console
from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.scenario import Clip
from duplex_evals.performance.long_call_facts import AGES_MIN, Fact, Line, TalkPlan

WARM_UP_MIN: Final = 1.0
WINDOW_MIN: Final = 10.0
GROWTH_TARGET: Final = 1.05
PATIENCE_S: Final = 4.0  # without a reply the user goes on after this long
LONGEST_REPLY_S: Final = 20.0
PAUSE_S: Final = (0.6, 1.6)  # between the agent's last sound and the user's next word
TICKS_PER_S: Final = 1000 / TICK_MS
VOICE: Final = "en-us+m7"

Audio = NDArray[np.float32]


@dataclass
class CallLog:
    """What was measured, one entry a tick; RSS in MiB."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    slides: int = 0
    turns: TurnLog = field(default_factory=TurnLog)
    facts: list[Fact] = field(default_factory=list)


class LongCall:
    """Drives one session with a user who talks, waits for the reply, and talks on."""

    def __init__(self, session: Conversation, seed: int, voice: str) -> None:
        self._session = session
        self._plan = TalkPlan(seed)
        self._random = np.random.default_rng(seed)
        self._voice = voice
        self._process = psutil.Process()
        self._oldest: object = None
        self._ticks = 0
        self.log = CallLog(facts=self._plan.facts)

    @property
    def now_s(self) -> float:
        return self._ticks / TICKS_PER_S

    def turn(self) -> None:
        """One line of the user and the reply to it."""
        line = self._plan.next(self.now_s)
        rows = len(self.log.turns.rows)
        clip = load_clip(Clip(voice=self._voice, text=line.text))
        for pcm in np.pad(clip, (0, -len(clip) % USER_TICK_SAMPLES)).reshape(-1, USER_TICK_SAMPLES):
            self._tick(pcm)
        waited = self.now_s
        while not self._answered(rows, self.now_s - waited):
            self._tick(np.zeros(USER_TICK_SAMPLES, np.float32))
        for _ in range(round(self._random.uniform(*PAUSE_S) * TICKS_PER_S)):
            self._tick(np.zeros(USER_TICK_SAMPLES, np.float32))
        _note(line, self.log.turns.rows[rows:])

    def _answered(self, rows: int, waited_s: float) -> bool:
        new = self.log.turns.rows[rows:]
        if new and new[-1].status in ("completed", "interrupted", "failed"):
            return True
        speaking = bool(new) and new[-1].status == "speaking"
        return waited_s >= (LONGEST_REPLY_S if speaking else PATIENCE_S)

    def _tick(self, pcm: Audio) -> None:
        log = self.log
        self._ticks += 1
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        tick = self._session.tick(pcm)
        log.cpu_ms.append((time.process_time() - cpu_s) * 1000)
        log.wall_ms.append((time.perf_counter() - wall_s) * 1000)
        log.rss_mib.append(self._process.memory_info().rss / 2**20)
        log.turns.add(tick.events)
        turns = self._session.session.pairs
        if turns and turns[0] != self._oldest:
            log.slides += self._oldest is not None
            self._oldest = turns[0]


def _note(line: Line, rows: list[TurnRow]) -> None:
    """Write what was understood and answered to the line's fact."""
    understood = " ".join(row.user for row in rows)
    if line.fact is None:
        return
    if line.kind == "fact":
        line.fact.understood = understood
    else:
        line.fact.question_understood = understood
        line.fact.reply = " ".join(row.heard for row in rows)


def side_by_side(old: LongCall, new: LongCall, until_s: float) -> tuple[CallLog, CallLog]:
    """Go on with ``old`` and hold ``new`` until ``until_s`` of it, a turn of each in turn.

    What both cost after the warm-up of the new one.
    """
    while new.now_s < until_s:
        if new.now_s <= WARM_UP_MIN * 60:
            old.log, new.log = CallLog(), CallLog()
        old.turn()
        new.turn()
    return old.log, new.log


def summary(log: CallLog) -> dict[str, float]:
    """The results: first and last minutes, lateness, slides, facts by age."""
    warm, ticks = round(WARM_UP_MIN * 60 * TICKS_PER_S), len(log.wall_ms)
    size = window_ticks(ticks)
    report: dict[str, float] = {
        "minutes": round(ticks / TICKS_PER_S / 60, 2),
        "window_min": round(size / TICKS_PER_S / 60, 2),
        "turns": len(log.turns.rows),
        "slides": log.slides,
        "late_ticks_wall": sum(ms > TICK_MS for ms in log.wall_ms),
        "late_ticks_cpu": sum(ms > TICK_MS for ms in log.cpu_ms),
        "cores": os.cpu_count() or 0,
    }
    for name, part in (("first", slice(warm, warm + size)), ("last", slice(ticks - size, ticks))):
        report |= _tick_times(log, part, name)
        report[f"rss_mib_{name}"] = round(max(log.rss_mib[part]), 1)
    replies = [row.heard for row in log.turns.rows if row.heard]
    report["replies"], report["distinct_replies"] = len(replies), len(set(replies))
    for age in AGES_MIN:
        asked = [f for f in log.facts if f.age_min == age and f.reply is not None]
        report[f"facts_{age}min_asked"] = len(asked)
        report[f"facts_{age}min_heard"] = sum(f.heard for f in asked)
        report[f"facts_{age}min_right"] = sum(f.right for f in asked)
    return report


def _tick_times(log: CallLog, part: slice, name: str) -> dict[str, float]:
    return {
        f"{clock}_ms_p{point}_{name}": round(float(np.percentile(values[part], point)), 2)
        for clock, values in (("cpu", log.cpu_ms), ("wall", log.wall_ms))
        for point in (50, 95)
    }


def comparison(old: CallLog, new: CallLog) -> dict[str, float]:
    """The results of two calls held ``side_by_side``."""
    every = slice(None)
    return _tick_times(old, every, "old") | _tick_times(new, every, "new")


def window_ticks(ticks: int) -> int:
    """How many of a call's first ticks, after the warm-up, are compared with its last."""
    warm = round(WARM_UP_MIN * 60 * TICKS_PER_S)
    return min(round(WINDOW_MIN * 60 * TICKS_PER_S), (ticks - warm) // 2)


def passes(report: dict[str, float]) -> bool:
    """Whether tick time (CPU, p95, both ways) and memory have grown by no more than the target."""
    pairs = [
        ("cpu_ms_p95_first", "cpu_ms_p95_last"),
        ("cpu_ms_p95_new", "cpu_ms_p95_old"),
        ("rss_mib_first", "rss_mib_last"),
    ]
    return all(report[last] <= report[first] * GROWTH_TARGET for first, last in pairs)


def report_table(report: dict[str, float]) -> Table:
    """The results for a terminal."""
    size = report["window_min"]
    table = Table(title=f"a call of {report['minutes']:g} minutes, {report['cores']:.0f} cores")
    for column in ("result", f"first {size:g} min", f"last {size:g} min", "growth", "target"):
        table.add_column(column, justify="left" if column == "result" else "right")
    limit = f"<= {GROWTH_TARGET - 1:.0%}"

    def add(label: str, name: str, before: str, after: str, target: str) -> None:
        first, last = report[f"{name}_{before}"], report[f"{name}_{after}"]
        unit = "MiB" if name == "rss_mib" else "ms"
        growth = f"{last / first - 1:+.1%}"
        table.add_row(label, f"{first:.1f} {unit}", f"{last:.1f} {unit}", growth, target)

    for label, name, target in (
        ("tick, CPU, p50", "cpu_ms_p50", ""),
        ("tick, CPU, p95", "cpu_ms_p95", limit),
        ("tick, wall, p50", "wall_ms_p50", ""),
        ("tick, wall, p95", "wall_ms_p95", ""),
        ("memory (RSS, largest)", "rss_mib", limit),
    ):
        add(label, name, "first", "last", target)
    table.add_section()
    table.add_row("then, turn by turn", "fresh call", "old call", "", "")
    for point, target in (("p50", ""), ("p95", limit)):
        add(f"tick, CPU, {point}", f"cpu_ms_{point}", "new", "old", target)
    table.add_section()
    for label, text in (
        ("turns; slides", f"{report['turns']:g}; {report['slides']:g}"),
        ("ticks over 80 ms, CPU", f"{report['late_ticks_cpu']:g}"),
        ("ticks over 80 ms, wall", f"{report['late_ticks_wall']:g}"),
        ("distinct replies", f"{report['distinct_replies']:g} of {report['replies']:g}"),
        *(
            (
                f"facts, {age} min: right/heard/asked",
                " / ".join(
                    f"{report[f'facts_{age}min_{x}']:g}" for x in ("right", "heard", "asked")
                ),
            )
            for age in AGES_MIN
        ),
    ):
        table.add_row(label, "", text)
    return table


def main(
    minutes: Annotated[float, typer.Option(min=2.0, help="Length of the call.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    voice: Annotated[str, typer.Option(help="A held-out voice.")] = VOICE,
    out: Annotated[Path | None, typer.Option(help="JSON with the results and all turns.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 above the targets.")] = False,
) -> None:
    """Hold the call and print the table."""
    import torch

    from duplex_agent.engine import parts

    torch.set_num_threads(1)
    model = parts.load()
    call = LongCall(Conversation(model, seed=seed), seed, voice)
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        task = progress.add_task("calling", total=minutes * 60)
        while call.now_s < minutes * 60:
            call.turn()
            progress.update(task, completed=min(call.now_s, minutes * 60))
    rows = call.log.turns.to_json()
    facts = [asdict(fact) for fact in call.log.facts]
    report = summary(call.log)
    compared_s = WARM_UP_MIN * 60 + window_ticks(len(call.log.wall_ms)) / TICKS_PER_S
    with console.status("old call beside a fresh one"):
        fresh = LongCall(Conversation(model, seed=seed), seed, voice)
        report |= comparison(*side_by_side(call, fresh, compared_s))
    Console().print(report_table(report))
    if out is not None:
        out.write_text(json.dumps(report | {"turns": rows, "facts": facts}, indent=1))
    if check and not passes(report):
        raise typer.Exit(1)
