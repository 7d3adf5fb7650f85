"""Part ``quiet``: what comes of sound without English in it, and of English that is hard to hear.

Everything goes through a whole conversation (floor, ear, language model, voice). A hallucinated
turn is one that ended with text although no English was said.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.ear.hearing import Ear, HeardWord, Hearing, follow
from duplex_agent.engine.conversation import Conversation
from duplex_agent.terminal import Console
from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.scenario import Clip
from duplex_evals.errors import ClipError
from duplex_evals.speech.recogniser import word_errors
from duplex_evals.understanding.ear_clips import synthetic
from duplex_evals.understanding.quiet_audio import STRAINS, QuietAudio, without_english
from duplex_evals.understanding.report import PartReport, Table
from duplex_evals.understanding.result_rows import ResultRows, Row
from duplex_evals.understanding.subject import Subject, text_mark

Audio = NDArray[np.float32]

STRAINED: Final = 10  # sentences under every strain
_LEAD_S, _TAIL_S = 0.5, 2.5
_MADE_UP: Final = "hallucinated turns"


class _Tap:
    """An ear that lets its tokens be counted, whoever wants them."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self.words: list[HeardWord] = []

    def step(self, state: Any, pcm: Audio) -> Hearing:
        hearing = self._ear.step(state, pcm)
        follow(self.words, hearing)
        return hearing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ear, name)


def measure(subject: Subject, rows: ResultRows, limit: int | None) -> PartReport:
    """Hold the conversations; a sound that cannot be had is named and left out."""
    console = Console(stderr=True)
    # The floor decides here too.
    mark = f"{subject.llm_mark}/{subject.ear_mark}/quiet {text_mark(repr(subject.config))}"
    found: list[tuple[QuietAudio, Row]] = []
    missing: list[str] = []
    for audio in track(_first_of_each(without_english(), limit), "no English", console=console):
        try:
            row = rows.made(f"{mark}/{audio.name}", partial(_quiet_row, subject, audio))
            found.append((audio, row))
        except ClipError as error:
            missing.append(f"{audio.name}: {error}")
    said = synthetic(min(limit or STRAINED, STRAINED))
    strained: dict[str, list[tuple[str, Row]]] = {name: [] for name in STRAINS}
    steps = [(name, spoken.clip) for name in STRAINS for spoken in said]
    for name, clip in track(steps, "hard to hear", console=console):
        key = f"{mark}/{name}/{clip.model_dump_json()}"
        strained[name].append((clip.text, rows.made(key, partial(_strained, subject, name, clip))))
    return PartReport(
        "quiet",
        "Input that must do no harm",
        {
            "language model": subject.llm_mark,
            "ear": subject.ear_mark,
            "left out": "; ".join(missing) or "nothing",
        },
        [_totals(found), _strain_table(strained)],
        [_clips_table(found)],
    )


def _first_of_each(sounds: Sequence[QuietAudio], limit: int | None) -> list[QuietAudio]:
    groups: dict[str, list[QuietAudio]] = {}
    for audio in sounds:
        groups.setdefault(audio.group, []).append(audio)
    return [audio for group in groups.values() for audio in group[:limit]]


def _quiet_row(subject: Subject, audio: QuietAudio) -> Row:
    pcm = audio.make()
    # Silence behind it, so that a turn it opened ends and is counted; it is no part of the minutes.
    row = converse(subject, np.pad(pcm, (0, round(_TAIL_S * USER_RATE_HZ))))
    return row | {"seconds": len(pcm) / USER_RATE_HZ}


def _strained(subject: Subject, name: str, clip: Clip) -> Row:
    lead, tail = (np.zeros(round(s * USER_RATE_HZ), np.float32) for s in (_LEAD_S, _TAIL_S))
    return converse(subject, STRAINS[name](np.concatenate([lead, load_clip(clip), tail])))


def converse(subject: Subject, audio: Audio) -> Row:
    """``audio`` [n] as the user of a whole conversation.

    ``heard``: words of the ear whether or not anybody had a turn; ``opened``: turns that began;
    ``turns``: texts of those that ended; ``error``: what broke the conversation, "" if nothing.
    """
    ear = _Tap(subject.ear)
    model = FlowOmni(ear, subject.thinker, subject.voice)
    session = Conversation(model, subject.config)
    audio = np.pad(audio, (0, -len(audio) % USER_TICK_SAMPLES))
    opened, turns, error = 0, [], ""
    try:
        for pcm in audio.reshape(-1, USER_TICK_SAMPLES):
            for event in session.tick(pcm).events:
                opened += event.type == "user.speech_started"
                if event.type == "user.turn_ended":
                    turns.append(str(event.data["text"]))
    except Exception as caught:  # the question of this part is whether anything breaks, and how
        error = f"{type(caught).__name__}: {caught}"
    return {
        "seconds": len(audio) / USER_RATE_HZ,
        "heard": "".join(word.text for word in ear.words).strip(),
        "opened": opened,
        "turns": turns,
        "error": error,
    }


def _made_up(row: Row) -> int:
    return sum(bool(text.strip()) for text in row["turns"])


def _totals(found: Sequence[tuple[QuietAudio, Row]]) -> Table:
    lines = []
    groups = list(dict.fromkeys(audio.group for audio, _ in found))
    for group in (*groups, "all"):
        rows = [row for audio, row in found if group in (audio.group, "all")]
        minutes = sum(row["seconds"] for row in rows) / 60
        words = sum(len(row["heard"].split()) for row in rows)
        opened, made_up = sum(row["opened"] for row in rows), sum(map(_made_up, rows))
        broken = sum(bool(row["error"]) for row in rows)
        lines.append(
            [group, f"{minutes:.1f}", *(f"{n / minutes:.1f}" for n in (words, opened, made_up)),
             str(made_up), str(broken)]
        )  # fmt: skip
    columns = [
        "sound without English", "minutes", "words per minute", "turns opened per minute",
        f"{_MADE_UP} per minute", _MADE_UP, "crashes",
    ]  # fmt: skip
    note = "Words: everything the ear gave, whether or not anybody had a turn."
    return Table("What is understood where no English is said", columns, lines, note)


def _clips_table(found: Sequence[tuple[QuietAudio, Row]]) -> Table:
    lines = [
        [audio.name, str(len(row["heard"].split())), str(row["opened"]), str(_made_up(row)),
         " / ".join(row["turns"]) or row["heard"], row["error"]]
        for audio, row in found
    ]  # fmt: skip
    columns = ["sound", "words", "turns opened", _MADE_UP, "text of the turns, else of the ear"]
    return Table("Every sound", [*columns, "crash"], lines)


def _strain_table(strained: dict[str, list[tuple[str, Row]]]) -> Table:
    lines = []
    for name, pairs in strained.items():
        counts = [word_errors(text, " ".join(row["turns"])) for text, row in pairs]
        words = max(sum(c.words for c in counts), 1)
        ended = sum(_made_up(row) > 0 for _, row in pairs)
        once = sum(_made_up(row) == 1 for _, row in pairs)
        broken = sum(bool(row["error"]) for _, row in pairs)
        errors = f"{sum(c.errors for c in counts) / words:.1%}"
        lines.append([name, f"{ended} of {len(pairs)}", str(once), errors, str(broken)])
    columns = ["English speech", "understood as a turn", "as exactly one", "word errors", "crashes"]
    return Table("Speech that is hard to hear", columns, lines)
