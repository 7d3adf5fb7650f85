"""How good the agent's voice is, beside its teacher: WER, quality, similarity, cost and drift.

duplex-evals voice [--steps 1,2,4,8,16] [--thinker off|on|both] [--limit N] [--out FOLDER]

Every utterance is a row in OUT/rows.jsonl; a run that was broken off goes on behind its last row,
other weights or settings make rows of their own. OUT/voice.json holds all results.
"""

import functools
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from duplex_agent.llm.load import shipped_thinker
from duplex_agent.llm.thinker import Thinker
from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.terminal import Console
from duplex_agent.voice.config import step_times
from duplex_agent.voice.spoken_text import speakable
from duplex_agent.voice.voice import Voice, VoiceSettings, load_voice
from duplex_evals.errors import EvalError
from duplex_evals.texts import lines
from duplex_evals.voice.drift import drift
from duplex_evals.voice.report import (
    drift_line,
    plot_steps,
    results_table,
    stress_table,
    write_report,
)
from duplex_evals.voice.results import VoiceResults, voice_results
from duplex_evals.voice.rows import Row, RowFile, measured, weights_name
from duplex_evals.voice.speaking import speak, teacher_speech, thinker_states, ticks_until_audio
from duplex_evals.voice.words import script_faults

SENTENCES, STRESS = "mouth_sentences.txt", "stress_list.txt"


class States(StrEnum):
    """Whether the thinker's hidden states reach the voice."""

    OFF = "off"
    ON = "on"
    BOTH = "both"


class _Run:
    """Texts through the voice and its teacher, each row once."""

    def __init__(self, out: Path, voice: Voice, weights: str, progress: Progress) -> None:
        self.rows, self.voice, self.weights = RowFile(out / "rows.jsonl"), voice, weights
        self._progress = progress

    @functools.cached_property
    def thinker(self) -> Thinker:
        return shipped_thinker()

    def _each(self, texts: list[str], name: str, make: Callable[[int, str], Row]) -> list[Row]:
        made = []
        for index, text in enumerate(self._track(texts, name)):
            key = f"{name}/{text}"
            row = self.rows.get(key)
            if row is None:
                row = make(index, text)
                self.rows.add(key, row)
            made.append(row)
        return made

    def _track(self, texts: list[str], name: str) -> Iterable[str]:
        return self._progress.track(texts, description=name.rpartition("/")[2])

    def agent(self, texts: list[str], settings: VoiceSettings, states: bool) -> list[Row]:
        voice = self.voice.with_settings(settings)

        def make(index: int, text: str) -> Row:
            hidden = thinker_states(self.thinker, text) if states else None
            speech = speak(voice, text, index, hidden)
            streamed = ticks_until_audio(voice, text)
            return measured(text, speech.pcm, speech, streamed)

        name = f"{self.weights}/{settings}/agent, {_column(settings.flow_steps, states)}"
        return self._each(texts, name, make)

    def teacher(self, texts: list[str]) -> list[Row]:
        def make(index: int, text: str) -> Row:
            pcm = teacher_speech(text) if speakable(text) else np.zeros(1, np.float32)
            return measured(text, pcm, None, None)

        return self._each(texts, "teacher", make)

    def script(self, texts: list[str]) -> dict[str, list[str]]:
        return {t: script_faults(self.voice, t) for t in self._track(texts, "script")}

    def seconds(self, total: float) -> Callable[[], None]:
        task = self._progress.add_task("long replies, s", total=total)
        return lambda: self._progress.advance(task)


def _column(steps: int, states: bool) -> str:
    return f"{steps} step{'s' * (steps > 1)}{', thinker' * states}"


def _steps(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")] if text else [VoiceSettings().flow_steps]
    except ValueError as error:
        raise EvalError(f"--steps {text!r} is no list like 1,2,4") from error
    if min(found) < 1:
        raise EvalError("--steps must be at least 1")
    return found


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def main(
    limit: Annotated[int, typer.Option(help="Only the first N sentences and stress items.")] = 0,
    steps: Annotated[str, typer.Option(help="Steps of the flow, as 1,2,4.")] = "",
    temperature: Annotated[float, typer.Option(help="Variance of the flow's noise.")] = 0.5,
    thinker: Annotated[States, typer.Option(help="The thinker's hidden states.")] = States.OFF,
    teacher: Annotated[bool, typer.Option(help="Also measure the teacher voice.")] = True,
    stress: Annotated[bool, typer.Option(help="Also speak the stress list.")] = True,
    minutes: Annotated[float, typer.Option(help="Length of a long reply; 0: none.")] = 5.0,
    replies: Annotated[int, typer.Option(min=1, help="Number of long replies.")] = 3,
    weights: Annotated[Path, typer.Option(help="Folder of the voice's weights.")] = WEIGHTS_DIR,
    out: Annotated[Path, typer.Option(help="Rows, results, plot.")] = Path("runs/voice"),
) -> None:
    """Print the results of the voice; the first of several steps speaks the stress list too."""
    torch.set_num_threads(1)
    console = Console()
    settings = [VoiceSettings(flow_steps=n, temperature=temperature) for n in _steps(steps)]
    voice = load_voice(settings[0], weights)
    texts, items = (lines(name)[: limit or None] for name in (SENTENCES, STRESS))
    report: dict[str, Any] = {"weights": weights_name(weights), "temperature": temperature}
    by_steps: dict[int, VoiceResults] = {}
    by_column: dict[str, VoiceResults] = {}
    with _progress() as progress:
        run = _Run(out, voice, report["weights"], progress)
        references = run.teacher(texts) if teacher else []
        of_teacher = voice_results(references, references) if teacher else None
        for one in settings:
            evaluations = len(step_times(one.flow_steps, voice.mouth.sampling)[0])
            for states in (False, True):
                if thinker is (States.OFF if states else States.ON):
                    continue
                rows = run.agent(texts, one, states)
                found = voice_results(rows, references, evaluations)
                by_column[_column(one.flow_steps, states)] = found
                by_steps.setdefault(evaluations, found)
        if stress:
            agent = voice_results(run.agent(items, settings[0], False), [], 1)
            other = voice_results(run.teacher(items), []) if teacher else None
            faults = run.script(items)
            report["stress"] = {"agent": agent, "teacher": other, "script": faults}
        if minutes:
            advance = run.seconds(minutes * 60 * replies)
            report["long"] = drift(voice, lines(SENTENCES), minutes, replies, advance)
    report |= {"teacher": of_teacher, "settings": by_column}
    console.print(results_table(by_column, of_teacher))
    if stress:
        console.print(stress_table(agent, other, faults))
    if minutes:
        console.print(drift_line(report["long"]))
    if len(by_steps) > 1:
        console.print(f"plot: {plot_steps(out, by_steps, of_teacher)}")
    console.print(f"results: {write_report(out, report)}")
