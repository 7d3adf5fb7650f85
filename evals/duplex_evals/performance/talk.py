"""Spoken questions, spoken answers: how many, how fast, at what cost per tick.

duplex-evals talk [--limit N] [--out FOLDER] [--check]

Twenty everyday questions in voices that no training used go through the tick. Whether and when
the agent answers is judged from its sound; it counts from the end of the question as a live
listener hears it, so the answer of a tick sounds one tick later.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import (
    AGENT_RATE_HZ,
    AGENT_TICK_SAMPLES,
    USER_RATE_HZ,
    USER_TICK_SAMPLES,
)
from duplex_agent.engine.conversation import Conversation
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.offline.turns import TurnLog
from duplex_agent.terminal import Console
from duplex_evals.audio.onset import speech_end_ms, speech_onset_ms
from duplex_evals.texts import lines

LEAD_S, TAIL_S = 0.5, 8.0
IN_TIME_MS = 2_000
ANSWERED_TARGET = 0.9  # 18 of 20
COMPUTE_TARGET_MS = 80.0

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """What came of one question. ``latency_ms``: from its end to audible speech; None: never."""

    question: str
    speaker: str
    understood: str
    answer: str
    latency_ms: int | None
    compute_ms: list[float]

    @property
    def in_time(self) -> bool:
        return self.latency_ms is not None and 0 <= self.latency_ms <= IN_TIME_MS


def questions() -> list[str]:
    """The fixed questions."""
    return lines("questions.txt")


def converse(session: Conversation, user: Audio) -> tuple[Audio, TurnLog]:
    """The agent's sound (24 kHz, one tick late, as live) to ``user`` (16 kHz), and the turns."""
    log = TurnLog()
    sounds = [np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)]
    user = np.pad(user, (0, -len(user) % USER_TICK_SAMPLES))
    for pcm in user.reshape(-1, USER_TICK_SAMPLES):
        tick = session.tick(pcm)
        log.add(tick.events)
        sounds.append(tick.agent_pcm)
    return np.concatenate(sounds), log


def ask(session: Conversation, question: str, speaker: str, speech: Audio) -> tuple[Answer, Audio]:
    """Play one question into a fresh conversation; also gives both sides as stereo [n, 2]."""
    quiet = (int(LEAD_S * USER_RATE_HZ), int(TAIL_S * USER_RATE_HZ))
    user = np.pad(speech, quiet).astype(np.float32)
    agent, log = converse(session, user)
    end_ms = speech_end_ms(user, USER_RATE_HZ)
    onset_ms = speech_onset_ms(agent)
    rows = log.rows[:1]
    answer = Answer(
        question,
        speaker,
        understood=" / ".join(row.user for row in log.rows),
        answer=rows[0].agent.strip() if rows else "",
        latency_ms=None if onset_ms is None else onset_ms - end_ms,
        compute_ms=log.speaking_ms,
    )
    left = soxr.resample(user, USER_RATE_HZ, AGENT_RATE_HZ)
    length = min(len(left), len(agent))
    return answer, np.stack([left[:length], agent[:length]], axis=1)


def main(
    limit: Annotated[int, typer.Option(help="Only the first N questions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the audio and the JSON.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 below the targets.")] = False,
) -> None:
    """Ask the questions and print the table."""
    import torch

    from duplex_agent.engine import parts
    from duplex_agent.train.data.user_speech import HELD_OUT, speak

    torch.set_num_threads(1)
    agent = parts.load()
    executor = CpuExecutor(agent)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    answers = []
    asked = questions()[: limit or None]
    for index, question in enumerate(track(asked, "asking", console=Console(stderr=True))):
        speaker = HELD_OUT[index % len(HELD_OUT)]
        session = Conversation(agent, executor=executor)
        answer, stereo = ask(session, question, speaker.voice, speak(speaker, question))
        answers.append(answer)
        if out is not None:
            soundfile.write(out / f"{index:02d}.flac", stereo.clip(-1, 1), AGENT_RATE_HZ)
    report = summary(answers)
    console = Console()
    console.print(detail_table(answers))
    console.print(summary_table(report))
    if out is not None:
        rows = [asdict(answer) for answer in answers]
        (out / "talk.json").write_text(json.dumps(report | {"rows": rows}, indent=1))
    if check and not (report["answered"] >= ANSWERED_TARGET * report["asked"] and report["fast"]):
        raise typer.Exit(1)


def summary(answers: list[Answer]) -> dict[str, float]:
    """The results: counts, latency and compute percentiles."""
    latencies = [a.latency_ms for a in answers if a.latency_ms is not None and a.in_time]
    compute = [ms for a in answers for ms in a.compute_ms]
    report: dict[str, float] = {
        "asked": len(answers),
        "answered": sum(a.in_time for a in answers),
        "understood": sum(bool(a.understood) for a in answers),
        "cores": os.cpu_count() or 0,
    }
    for name, values, points in (
        ("latency_ms", latencies, (50, 90, 95)),
        ("compute_ms", compute, (50, 95)),
    ):
        for point in points if values else ():
            report[f"{name}_p{point}"] = round(float(np.percentile(values, point)), 1)
    report["fast"] = report.get("compute_ms_p95", COMPUTE_TARGET_MS) < COMPUTE_TARGET_MS
    return report


def detail_table(answers: list[Answer]) -> Table:
    """One row per question."""
    table = Table(title="questions")
    for column in ("question", "voice", "understood", "answer", "latency"):
        table.add_column(column, overflow="fold")
    for a in answers:
        latency = "never" if a.latency_ms is None else f"{a.latency_ms} ms"
        table.add_row(a.question, a.speaker, a.understood, a.answer, latency)
    return table


def summary_table(report: dict[str, float]) -> Table:
    """The results and their targets."""
    table = Table(title=f"talk: voices not in training, {report['cores']:.0f} cores")
    for column in ("result", "measured", "target"):
        table.add_column(column)
    table.add_row(
        "answered with audible speech within 2 s",
        f"{report['answered']:.0f} of {report['asked']:.0f}",
        f">= {ANSWERED_TARGET:.0%}",
    )
    table.add_row("turns in which words were understood", f"{report['understood']:.0f}", "")
    for label, name, points, target in (
        ("response latency", "latency_ms", (50, 90, 95), ""),
        (
            "compute per tick while speaking",
            "compute_ms",
            (50, 95),
            f"p95 < {COMPUTE_TARGET_MS:.0f}",
        ),
    ):
        measured = " / ".join(f"{report.get(f'{name}_p{p}', float('nan')):.0f}" for p in points)
        table.add_row(f"{label}, {' / '.join(f'p{p}' for p in points)}", f"{measured} ms", target)
    return table
