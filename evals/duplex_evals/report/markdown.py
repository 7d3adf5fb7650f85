"""The report as Markdown, for a pull request or a terminal."""

from collections.abc import Sequence

from duplex_evals.report.document import Report
from duplex_evals.report.table import Row, chapters


def markdown(reports: Sequence[Report]) -> str:
    """Tables of every result, one column a run; then failed cases and gates."""
    lines = ["# " + " and ".join(dict.fromkeys(report.agent for report in reports)), ""]
    for report in reports:
        meta = report.meta
        lines.append(
            f"- **{report.agent}**: suite {meta['suite']}, {len(report.cases)} conversations, seed"
            f" {meta['seed']}, commit {meta['commit']}, weights {meta['weights_sha256']},"
            f" {meta['machine']['processor']} ({meta['machine']['cores']} cores),"
            f" {meta['made_at']}"
        )
    heads = [report.agent for report in reports]
    for chapter in chapters(reports):
        lines += ["", f"## {chapter.title}", "", _line(["result", "over", *heads])]
        lines.append(_line(["---"] * (2 + len(heads))))
        for row in chapter.rows:
            lines.append(_row(row))
            lines += [_row(part) for part in row.parts]
    for report in reports:
        if report.gates:
            lines += ["", f"## Gates of {report.agent}", ""]
            lines += [f"- {'pass' if ok else '**FAIL**'}: {text}" for ok, text in report.gates]
        if report.failed:
            lines += ["", f"## Conversations of {report.agent} that could not be held", ""]
            lines += [f"- {why}: {', '.join(ids)}" for why, ids in report.failures.items()]
    return "\n".join(lines) + "\n"


def _row(row: Row) -> str:
    cells = []
    for cell in row.cells:
        text = f"{cell.value} ({cell.interval})" if cell.interval else cell.value
        cells.append(f"**{text}**" if cell.best else text)
    return _line([row.title, row.place or "all", *cells])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
