"""All files of a report."""

import os
from collections.abc import Sequence
from pathlib import Path

from duplex_evals.report.document import Report, write_json, write_text
from duplex_evals.report.markdown import markdown
from duplex_evals.report.page import page


def write_report(report: Report, out: Path) -> None:
    """``report.json``, ``results.jsonl``, ``report.md`` and ``report.html`` in ``out``.

    Raises ResultError when they cannot be written.
    """
    write_json(report, out)
    write_text(out / "report.md", markdown([report]))
    write_text(out / "report.html", page([report], [""]))


def write_comparison(reports: Sequence[Report], folders: Sequence[Path], out: Path) -> None:
    """``compare.md`` and ``compare.html`` in ``out`` for the runs in ``folders``."""
    sources = [Path(os.path.relpath(folder, out)).as_posix() + "/" for folder in folders]
    write_text(out / "compare.md", markdown(reports))
    write_text(out / "compare.html", page(reports, sources))
