"""How well speech is understood.

duplex-evals understanding [questions] [remarks] [ear] [quiet] [text] [--limit N]

Every item is a row in OUT/rows.jsonl; a run that was broken off goes on behind its last row, other
weights or settings make rows of their own. OUT/understanding.md and .png hold the parts that were
run into OUT, now or before.
"""

from pathlib import Path
from typing import Annotated

import typer

from duplex_agent.ear.hearing import DEFAULT_TOKENS, LOOK_AHEADS, TokenKind
from duplex_agent.ear.load import WEIGHTS
from duplex_agent.llm.load import DEFAULT_MODEL
from duplex_agent.llm.lora import DEFAULT_FILE
from duplex_agent.terminal import Console
from duplex_evals.errors import EvalError
from duplex_evals.understanding import ear, questions, quiet, remarks, text
from duplex_evals.understanding.report import PARTS, PartReport, for_terminal, write
from duplex_evals.understanding.result_rows import ResultRows
from duplex_evals.understanding.subject import Subject

NO_LORA = "none"


def main(
    parts: Annotated[list[str] | None, typer.Argument(help="By default all of them.")] = None,
    limit: Annotated[int, typer.Option(help="Only the first N items of each list.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Rows, tables, plot.")] = Path("runs/understanding"),
    thinker: Annotated[str, typer.Option(help="Language model.")] = DEFAULT_MODEL,
    lora: Annotated[str, typer.Option(help="File of a LoRA, or none.")] = str(DEFAULT_FILE),
    examples: Annotated[bool, typer.Option(help="Example turn pairs before the turn.")] = True,
    ear_weights: Annotated[Path, typer.Option(help="Weights of the ear.")] = WEIGHTS,
    look_ahead: Annotated[int, typer.Option(help="Ticks: 1, 2 or 4; 0: the ear's own.")] = 0,
    tokens: Annotated[TokenKind, typer.Option(help="What the ear gives.")] = DEFAULT_TOKENS,
) -> None:
    """Measure, print the tables, write them to OUT."""
    chosen = [name for name in PARTS if name in (parts or PARTS)]
    if unknown := set(parts or ()) - set(PARTS):
        raise EvalError(f"no part {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}")
    if look_ahead not in (0, *LOOK_AHEADS):
        raise EvalError(f"--look-ahead {look_ahead}: only 1, 2 or 4 ticks")
    console = Console()
    subject = Subject(
        thinker,
        None if lora == NO_LORA else Path(lora),
        examples,
        ear_weights,
        look_ahead or None,
        tokens,
    )
    for mark in (subject.llm_mark, subject.ear_mark):  # reads the files that the command names
        console.print(f"measuring {mark}")
    rows = ResultRows(out / "rows.jsonl")
    for name in chosen:
        report = _measure(name, subject, rows, limit or None)
        for table in (*report.tables, *report.details):
            console.print(for_terminal(table))
        files = write(out, report)
        console.print(f"{name}: {', '.join(map(str, files))}")


def _measure(name: str, subject: Subject, rows: ResultRows, limit: int | None) -> PartReport:
    parts = {
        "questions": questions.measure,
        "remarks": remarks.measure,
        "ear": ear.measure,
        "quiet": quiet.measure,
        "text": text.measure,
    }
    return parts[name](subject, rows, limit)
