"""The capacity table: what each number of callers got, and how many a server holds."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.table import Table

from duplex_evals.errors import ResultError
from duplex_evals.metrics.statistics import MIN_EVENTS
from duplex_evals.network.calibration import Calibration

BUSY_SHARE: Final = 0.02  # of packets that this machine sends late: it is the bottleneck itself


@dataclass(frozen=True, slots=True)
class Limit:
    """What a number of callers must meet to count as held: every call whole, and these."""

    p95_ms: float = 2_000.0
    late_share: float = 0.01
    missed_share: float = 0.1


@dataclass(frozen=True, slots=True)
class LoadRow:
    """What ``callers`` at once got. None: not measured. Shares are 0..1, latencies in ms.

    ``refused`` calls found no slot, ``failed`` were lost. ``cores`` and ``memory_mib`` are the
    server's whole, ``session_*`` its part for each call (memory: above that of the idle server).
    ``sent_late_share`` is this machine's own lateness.
    """

    callers: int
    completed: int
    refused: int
    failed: int
    turns: int
    missed_share: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    late_share: float | None
    gaps_per_min: float | None
    sent_late_share: float | None
    cores: float | None
    memory_mib: float | None
    session_cores: float | None
    session_mib: float | None
    error: str = ""

    def meets(self, limit: Limit) -> bool:
        """Whether the server held all of these callers within ``limit``."""
        if self.completed < self.callers or self.p95_ms is None:
            return False
        late, missed = self.late_share or 0.0, self.missed_share or 0.0
        return (
            self.p95_ms <= limit.p95_ms
            and late <= limit.late_share
            and missed <= limit.missed_share
        )


@dataclass(frozen=True, slots=True)
class LoadReport:
    """``largest``: the most callers that met the limit with every smaller number tried; 0: none."""

    target: str
    calibration: Calibration
    limit: Limit
    rows: list[LoadRow]

    @property
    def largest(self) -> int:
        held = 0
        for row in sorted(self.rows, key=lambda row: row.callers):
            if not row.meets(self.limit):
                break
            held = row.callers
        return held


def _missed(row: LoadRow) -> str:
    return _shown(row.missed_share, ".0%") if row.turns >= MIN_EVENTS else f"n < {MIN_EVENTS}"


def _sent_late(row: LoadRow) -> str:
    busy = row.sent_late_share is not None and row.sent_late_share > BUSY_SHARE
    return _shown(row.sent_late_share, ".1%") + (" (!)" if busy else "")


_RESULTS: Final[dict[str, Callable[[LoadRow], str]]] = {
    "whole": lambda row: str(row.completed),
    "refused": lambda row: str(row.refused),
    "lost": lambda row: str(row.failed),
    "turns": lambda row: str(row.turns),
    "missed": _missed,
    "p50 ms": lambda row: _shown(row.p50_ms, ".0f"),
    "p90 ms": lambda row: _shown(row.p90_ms, ".0f"),
    "p95 ms": lambda row: _shown(row.p95_ms, ".0f"),
    "late packets": lambda row: _shown(row.late_share, ".2%"),
    "gaps/min": lambda row: _shown(row.gaps_per_min, ".1f"),
    "cores": lambda row: _shown(row.cores, ".2f"),
    "cores/call": lambda row: _shown(row.session_cores, ".2f"),
    "MiB": lambda row: _shown(row.memory_mib, ".0f"),
    "MiB/call": lambda row: _shown(row.session_mib, ".0f"),
    "sent late": _sent_late,
}


def table(report: LoadReport) -> Table:
    """The capacity table."""
    limit = report.limit
    shown = Table(
        title=f"load: {report.target}",
        caption=(
            f"largest number of callers within p95 <= {limit.p95_ms:.0f} ms, late packets"
            f" <= {limit.late_share:.0%}, missed <= {limit.missed_share:.0%}: {report.largest}\n"
            f"path of {report.calibration.delay_ms:.1f} ms taken off"
            f" (spread {report.calibration.spread_ms:.1f} ms)"
        ),
    )
    # Callers run to the right: sixteen results side by side fit into no terminal.
    shown.add_column("callers")
    for row in report.rows:
        shown.add_column(str(row.callers), justify="right")
    for name, cell in _RESULTS.items():
        shown.add_row(name, *(cell(row) for row in report.rows))
    return shown


def write_report(report: LoadReport, path: Path) -> None:
    """Store ``report`` as JSON. Raises ResultError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**asdict(report), "largest": report.largest}, indent=1))
    except OSError as error:
        raise ResultError(f"cannot store {path}: {error.strerror}") from error


def _shown(value: float | None, form: str) -> str:
    return "not measured" if value is None else format(value, form)
