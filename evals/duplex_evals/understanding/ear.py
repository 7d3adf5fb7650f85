"""Part ``ear``: word errors, compute and delay of the live transcript for each look-ahead.

Whisper tiny.en, which hears a whole clip before it says anything, stands beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from rich.progress import track

from duplex_agent.clock import TICK_MS
from duplex_agent.ear.hearing import LOOK_AHEADS
from duplex_agent.errors import AssetError
from duplex_agent.terminal import Console
from duplex_evals.content.estimates import mean
from duplex_evals.conversation.clips import load_clip
from duplex_evals.metrics.result import Result
from duplex_evals.speech.recogniser import transcribe, word_errors
from duplex_evals.understanding.ear_clips import (
    NOVELS,
    SYNTHETIC,
    Spoken,
    human,
    synthetic,
    two_cities,
)
from duplex_evals.understanding.listening import hear
from duplex_evals.understanding.report import NOT_MEASURED, Bar, PartReport, Table, bar, shown
from duplex_evals.understanding.result_rows import ResultRows, Row
from duplex_evals.understanding.subject import Subject

TARGET_SYNTHETIC: Final = 0.10
TARGET_NOVELS: Final = 0.15
TARGET_COMPUTE_MS: Final = 15.0
_WORST: Final = 20  # clips shown
WHISPER: Final = "Whisper offline"
VERSION: Final = 2  # of a row: other rows are measured again

Pairs = list[tuple[Spoken, Row]]


def measure(subject: Subject, rows: ResultRows, limit: int | None) -> PartReport:
    """Listen with every look-ahead the ear has. Raises ClipError where a voice cannot be had."""
    recorded, missing = human(limit)
    clips = [*synthetic(limit), *recorded]
    try:
        clips.append(two_cities())
    except AssetError as error:
        missing.append(str(error))
    heard: dict[str, Pairs] = {}
    for ticks in LOOK_AHEADS:
        name = f"{ticks * TICK_MS} ms"
        heard[name] = _listen(replace(subject, look_ahead=ticks), rows, clips, name)
    whisper = []
    for clip in track(clips, WHISPER, console=Console(stderr=True)):
        key = f"whisper/{clip.clip.model_dump_json()}"
        whisper.append((clip, rows.made(key, partial(_offline, clip))))
    columns = {**heard, WHISPER: whisper}
    return PartReport(
        "ear",
        "The live transcript",
        {
            "ear": subject.ear_mark,
            "clips": f"{sum(c.group == SYNTHETIC for c in clips)} held-out sentences in held-out"
            f" voices, {sum(c.group != SYNTHETIC for c in clips)} recordings of people",
            NOT_MEASURED: "; ".join(missing) or "nothing left out",
        },
        [_errors_table(columns), _cost_table(heard)],
        [_worst(heard, whisper)],
        _bars(columns),
    )


def _listen(subject: Subject, rows: ResultRows, clips: Sequence[Spoken], name: str) -> Pairs:
    found = []
    for clip in track(clips, f"ear, {name}", console=Console(stderr=True)):
        key = f"{subject.ear_mark}/ear {VERSION}/{clip.clip.model_dump_json()}"
        found.append((clip, rows.made(key, partial(_row, subject, clip))))
    return found


def _row(subject: Subject, spoken: Spoken) -> Row:
    heard = hear(subject.ear, load_clip(spoken.clip))
    return {
        "heard": heard.text,
        "characters": heard.characters,
        "delay_ms": heard.delay_ms,
        "compute_ms": [round(ms, 2) for ms in heard.compute_ms],
    }


def _offline(spoken: Spoken) -> Row:
    return {"heard": transcribe(load_clip(spoken.clip))}


def error_rate(pairs: Pairs, what: str = "heard") -> Result:
    """Word errors by words over all clips, with the interval of drawing clips again."""
    counts = [word_errors(c.clip.text, row[what]) for c, row in pairs]
    return mean("wer", what, [c.errors for c in counts], per=[c.words for c in counts])


def _errors_table(columns: dict[str, Pairs]) -> Table:
    first = next(iter(columns.values()))
    voices = list(dict.fromkeys(c.voice for c, _ in first))
    picks: list[tuple[str, Callable[[Spoken], bool], str]] = [
        (voice, partial(_is_by, voice), "") for voice in voices
    ]
    picks += [
        ("all synthetic", _is_synthetic, f"<= {TARGET_SYNTHETIC:.0%}"),
        (" and ".join(NOVELS), _is_novel, f"<= {TARGET_NOVELS:.0%}"),
        ("all human", lambda c: not _is_synthetic(c), ""),
    ]
    lines = []
    for name, pick, target in picks:
        chosen = [[(c, r) for c, r in pairs if pick(c)] for pairs in columns.values()]
        if not chosen[0]:
            continue
        words = sum(word_errors(c.clip.text, "").words for c, _ in chosen[0])
        lines.append([name, *(shown(error_rate(pairs)) for pairs in chosen), target, str(words)])
    live = [name for name in columns if name != WHISPER]
    characters = [shown(error_rate(columns[name], "characters")) for name in live]
    if any(row["characters"] for name in live for _, row in columns[name]):
        lines.append(["everything, CTC characters alone", *characters, "", "", ""])
    heads = ["voice", *(n if n == WHISPER else f"look-ahead {n}" for n in columns)]
    title = "Word errors of the live transcript"
    return Table(title, [*heads, "target", "words"], lines)


def _is_by(voice: str, spoken: Spoken) -> bool:
    return spoken.voice == voice


def _is_synthetic(spoken: Spoken) -> bool:
    return spoken.group == SYNTHETIC


def _is_novel(spoken: Spoken) -> bool:
    return spoken.group in NOVELS


def _cost_table(heard: dict[str, Pairs]) -> Table:
    lines = []
    for name, pairs in heard.items():
        compute = [ms for _, row in pairs for ms in row["compute_ms"]]
        delays = [row["delay_ms"] for _, row in pairs if row["delay_ms"] is not None]
        lines.append(
            [name, _middle_and_high(compute, ".1f"), f"<= {TARGET_COMPUTE_MS:g}",
             _middle_and_high(delays, ".0f"), f"<= {int(name.split()[0]) + TICK_MS}"]
        )  # fmt: skip
    columns = [
        "look-ahead",
        "CPU ms per tick, median / p95",
        "target",
        "ms from the end of speech to the last token, median / p95",
        "target",
    ]
    note = "Of all threads. The last token counts at the end of the tick that gives it."
    return Table("Cost and delay of the ear", columns, lines, note)


def _middle_and_high(values: Sequence[float], how: str) -> str:
    if not values:
        return NOT_MEASURED
    middle, high = np.percentile(values, [50, 95])
    return f"{middle:{how}} / {high:{how}}"


def _worst(heard: dict[str, Pairs], whisper: Pairs) -> Table:
    name, pairs = list(heard.items())[-1]
    beside = {id(c): row["heard"] for c, row in whisper}
    counted = sorted(
        ((word_errors(c.clip.text, row["heard"]).rate, c, row["heard"]) for c, row in pairs),
        key=lambda found: -found[0],
    )
    lines = [
        [c.voice, c.clip.text, text, beside[id(c)]]
        for rate, c, text in counted[:_WORST]
        if rate > 0
    ]
    columns = ["voice", "said", f"understood, look-ahead {name}", WHISPER]
    return Table("The worst understood clips", columns, lines)


def _bars(columns: dict[str, Pairs]) -> list[Bar]:
    made = []
    for label, pick, target in (
        ("synthetic", _is_synthetic, TARGET_SYNTHETIC),
        (" and ".join(NOVELS), _is_novel, TARGET_NOVELS),
    ):
        for name, pairs in columns.items():
            result = error_rate([(c, r) for c, r in pairs if pick(c)])
            made += bar(
                f"word errors, {label}, {name}", result, None if name == WHISPER else target
            )
    return made
