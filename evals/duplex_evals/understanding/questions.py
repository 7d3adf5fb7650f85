"""Part ``questions``: 150 everyday questions with checkable answers, in writing and aloud.

The same LLM hears every question clean, in noise and over a telephone; beside that, it reads
Whisper tiny.en's transcript of the same recordings, each of which Whisper hears as a whole. "Bare
words" is the writing that an ear without capitals and marks would give.
"""

from collections.abc import Sequence
from typing import Final

from rich.progress import track

from duplex_agent.terminal import Console
from duplex_evals.content.answers import holds_answer
from duplex_evals.content.estimates import mean
from duplex_evals.content.spoken_qa import Question, questions, voice_of
from duplex_evals.conversation.robustness import CLEAN, CONDITIONS
from duplex_evals.conversation.scenario import Conditions
from duplex_evals.metrics.result import Result
from duplex_evals.speech.recogniser import word_errors
from duplex_evals.understanding.replies import (
    bare_words,
    spoken_reply,
    transcribed_reply,
    written_reply,
)
from duplex_evals.understanding.report import Bar, PartReport, Table, bar, shown
from duplex_evals.understanding.result_rows import ResultRows, Row
from duplex_evals.understanding.subject import Subject

WRITTEN: Final = "written"
BARE: Final = "bare words"
SPOKEN: Final[dict[str, Conditions]] = {
    CLEAN: Conditions(),
    "snr10": CONDITIONS["snr10"],
    "telephone": CONDITIONS["telephone"],
}
WHISPER: Final = {f"whisper, {name}": name for name in SPOKEN}
TARGETS: Final = {CLEAN: -0.05, "snr10": -0.12, "telephone": -0.12}
NAMES: Final = {
    WRITTEN: "written",
    BARE: "written, lower case, no marks",
    CLEAN: "spoken",
    "snr10": "spoken, white noise at 10 dB SNR",
    "telephone": "spoken, telephone (300-3400 Hz, mu-law)",
    "whisper, clean": "Whisper's transcript, written",
    "whisper, snr10": "Whisper's transcript at 10 dB SNR, written",
    "whisper, telephone": "Whisper's transcript of the telephone, written",
}


def measure(subject: Subject, rows: ResultRows, limit: int | None) -> PartReport:
    """Ask and report. Raises ClipError where a voice cannot be had."""
    asked = list(questions().values())[:limit]
    found: dict[str, list[Row]] = {name: [] for name in NAMES}
    steps = [(n, q, name) for n, q in enumerate(asked) for name in NAMES]
    for number, question, name in track(steps, "questions", console=Console(stderr=True)):
        found[name].append(_ask(subject, rows, number, question, name))
    right = {
        name: [float(holds_answer(r["reply"], q.answers, q.distractors)) for r, q in pairs]
        for name, pairs in ((n, list(zip(f, asked, strict=True))) for n, f in found.items())
    }
    shares = {name: mean(name, NAMES[name], values, "share") for name, values in right.items()}
    gaps = {name: gap(name, right[name], right[WRITTEN]) for name in (*SPOKEN, *WHISPER)}
    return PartReport(
        "questions",
        f"{len(asked)} spoken questions: right answers",
        {"language model": subject.llm_mark, "ear": subject.ear_mark},
        [_summary(shares, gaps, gap(BARE, right[BARE], right[WRITTEN]), found, asked)],
        [_lost(asked, found, right, name) for name in SPOKEN],
        _bars(shares),
    )


def gap(name: str, spoken: Sequence[float], written: Sequence[float]) -> Result:
    """Spoken minus written over the same questions, with the interval of drawing them again."""
    differences = [s - w for s, w in zip(spoken, written, strict=True)]
    return mean(name, f"{NAMES[name]} minus written", differences, "share")


def _ask(subject: Subject, rows: ResultRows, number: int, question: Question, name: str) -> Row:
    if name == WRITTEN:
        return written_reply(subject, rows, question.ask)
    if name == BARE:
        return written_reply(subject, rows, bare_words(question.ask))
    voice = voice_of(number)
    if name in WHISPER:
        conditions = SPOKEN[WHISPER[name]]
        return transcribed_reply(subject, rows, question.ask, voice, conditions, seed=number)
    return spoken_reply(subject, rows, question.ask, voice, SPOKEN[name], seed=number)


def _summary(
    shares: dict[str, Result],
    gaps: dict[str, Result],
    bare_gap: Result,
    found: dict[str, list[Row]],
    asked: Sequence[Question],
) -> Table:
    lines = []
    for name, result in shares.items():
        minus = bare_gap if name == BARE else gaps.get(name)
        wrong = "" if name in (WRITTEN, BARE) else _word_errors(found[name], asked)
        target = f">= {100 * TARGETS[name]:+.0f}" if name in TARGETS else ""
        difference = "" if minus is None else shown(minus, sign=True)
        lines.append([NAMES[name], shown(result), difference, target, wrong])
    columns = ["asked", "right", "minus written, points", "target", "word errors"]
    note = "95 % intervals: questions drawn again with replacement, 1,000 times."
    return Table("Right answers of one language model", columns, lines, note)


def _word_errors(rows: Sequence[Row], asked: Sequence[Question]) -> str:
    counts = [word_errors(q.ask, r["heard"]) for r, q in zip(rows, asked, strict=True)]
    return f"{sum(c.errors for c in counts) / max(sum(c.words for c in counts), 1):.1%}"


def _lost(
    asked: Sequence[Question],
    found: dict[str, list[Row]],
    right: dict[str, list[float]],
    name: str,
) -> Table:
    """Every question that was right in writing and is not when spoken."""
    lines = [
        [q.ask, voice_of(n), found[name][n]["heard"], found[WRITTEN][n]["reply"],
         found[name][n]["reply"]]
        for n, q in enumerate(asked)
        if right[WRITTEN][n] > right[name][n]
    ]  # fmt: skip
    won = sum(s > w for s, w in zip(right[name], right[WRITTEN], strict=True))
    columns = ["question", "voice", "understood", "answer in writing", "answer aloud"]
    note = f"{len(lines)} lost; {won} the other way round (wrong in writing, right aloud)."
    return Table(f"Lost when {NAMES[name]}", columns, lines, note)


def _bars(shares: dict[str, Result]) -> list[Bar]:
    written = shares[WRITTEN].value
    return [
        one
        for name, result in shares.items()
        for one in bar(
            NAMES[name],
            result,
            None if written is None or name not in TARGETS else written + TARGETS[name],
        )
    ]
