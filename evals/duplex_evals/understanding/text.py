"""Part ``text``: 200 written questions with checkable answers, with and without a LoRA."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from rich.progress import track

from duplex_agent.terminal import Console
from duplex_evals.content.answers import holds_answer
from duplex_evals.content.estimates import mean
from duplex_evals.content.spoken_qa import Question, questions
from duplex_evals.texts import read_rows
from duplex_evals.understanding.replies import written_reply
from duplex_evals.understanding.report import PartReport, Table, bar, shown
from duplex_evals.understanding.result_rows import ResultRows, Row
from duplex_evals.understanding.subject import Subject

MORE: Final = "text_questions.yaml"
TARGET: Final = -0.02
_EVERY: Final = 4  # each fourth question is one of the fifty, so that a limited run has some too


def text_questions() -> list[Question]:
    """The fixed set: the 150 spoken questions, and after every third of them one of fifty more."""
    more = iter(
        Question(row["id"], row["kind"], row["ask"], tuple(row["answers"]),
                 tuple(row.get("distractors", ())))
        for row in read_rows(MORE)
    )  # fmt: skip
    mixed: list[Question] = []
    for question in questions().values():
        mixed.append(question)
        if len(mixed) % _EVERY == _EVERY - 1:
            mixed += [one for one in [next(more, None)] if one is not None]
    return [*mixed, *more]


def measure(subject: Subject, rows: ResultRows, limit: int | None) -> PartReport:
    """Ask in writing; with a LoRA the bare model too, for the difference on the same questions."""
    asked = text_questions()[:limit]
    subjects = [subject] if subject.lora is None else [subject.without_lora(), subject]
    found = {one.llm_mark: _ask(one, rows, asked) for one in subjects}
    right = {
        mark: [float(holds_answer(r["reply"], q.answers, q.distractors)) for r, q in pairs]
        for mark, pairs in ((m, list(zip(f, asked, strict=True))) for m, f in found.items())
    }
    shares = {mark: mean("right", mark, values, "share") for mark, values in right.items()}
    base, last = (subjects[0].llm_mark, subjects[-1].llm_mark)
    lines, details = [], []
    for mark, result in shares.items():
        words = float(np.median([len(r["reply"].split()) for r in found[mark]]))
        kinds = _by_kind(asked, right[mark])
        lines.append([mark, shown(result), kinds["fact"], kinds["reasoning"], f"{words:g}", ""])
    if last != base:
        pairs = zip(right[last], right[base], strict=True)
        difference = mean("change", "with LoRA minus without", [a - b for a, b in pairs], "share")
        target = f">= {100 * TARGET:+.0f}"
        lines.append(["difference, points", shown(difference, sign=True), "", "", "", target])
        details = [_changed(asked, found[base], found[last], right[base], right[last])]
    columns = ["language model", "right", "facts", "reasoning", "words per reply, median", "target"]
    return PartReport(
        "text",
        f"Text ability: {len(asked)} written questions",
        {"language model": subject.llm_mark},
        [Table("Right answers in writing", columns, lines)],
        details,
        [one for mark, result in shares.items() for one in bar(mark, result)],
    )


def _ask(subject: Subject, rows: ResultRows, asked: Sequence[Question]) -> list[Row]:
    steps = track(asked, f"text, {subject.llm_mark}", console=Console(stderr=True))
    return [written_reply(subject, rows, question.ask) for question in steps]


def _by_kind(asked: Sequence[Question], right: Sequence[float]) -> dict[str, str]:
    counted = {}
    for kind in ("fact", "reasoning"):
        values = [r for q, r in zip(asked, right, strict=True) if q.kind == kind]
        counted[kind] = f"{sum(values):.0f} of {len(values)}"
    return counted


def _changed(
    asked: Sequence[Question],
    before: Sequence[Row],
    after: Sequence[Row],
    right_before: Sequence[float],
    right_after: Sequence[float],
) -> Table:
    lines = [
        [q.ask, b["reply"], a["reply"], "won" if y > x else "lost"]
        for q, b, a, x, y in zip(asked, before, after, right_before, right_after, strict=True)
        if x != y
    ]
    return Table("Answers that changed", ["question", "without", "with LoRA", ""], lines)
