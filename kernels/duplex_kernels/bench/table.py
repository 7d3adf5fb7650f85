"""Rows of measured times, as a table for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from duplex_kernels.bench.timing import Time

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Row:
    """One case as it was measured. A case that failed has the reason in ``error`` and no times."""

    table: str
    shape: str
    error: str | None = None
    max_error: float | None = None
    tolerance: float | None = None
    ours: Time | None = None
    floor: float | None = None
    """Microseconds."""
    peers: dict[str, Time] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """Floor over our time: 1 is all that the machine can do."""
        return None if self.floor is None or self.ours is None else self.floor / self.ours.median

    @property
    def against_best(self) -> float | None:
        """The fastest peer's time over ours: more than 1 is faster than every peer."""
        if self.ours is None or not self.peers:
            return None
        return min(peer.median for peer in self.peers.values()) / self.ours.median

    def as_json(self) -> dict[str, object]:
        """All fields, and the two ratios."""
        return asdict(self) | {"share": self.share, "against_best": self.against_best}


def render(rows: Sequence[Row]) -> str:
    """One table in Markdown for rows of one kernel: microseconds, then each peer's in its column
    with how many times longer it takes."""
    peers = list(dict.fromkeys(name for row in rows for name in row.peers))
    header = ["shape", "max error", "ours µs", "floor µs", "share of floor", *peers, "x best peer"]
    lines = [header, ["---"] * len(header)]
    lines += [_cells(row, peers) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    drawn = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    missing = {f"{name}: {why}" for row in rows for name, why in row.missing.items()}
    return "\n".join(drawn + [f"- {text}" for text in sorted(missing)])


def _cells(row: Row, peers: Sequence[str]) -> list[str]:
    if row.error is not None:
        return [row.shape, f"FAILED: {row.error}", *[""] * (4 + len(peers))]
    return [
        row.shape,
        _number(row.max_error, "{:.1e}"),
        NOT_MEASURED if row.ours is None else _time(row.ours),
        _number(row.floor, "{:.2f}"),
        _number(row.share, "{:.0%}"),
        *[_peer(row, name) for name in peers],
        _number(row.against_best, "{:.2f}"),
    ]


def _number(value: float | None, form: str) -> str:
    return NOT_MEASURED if value is None else form.format(value)


def _time(time: Time) -> str:
    return f"{time.median:.2f} ({time.low:.2f}-{time.high:.2f})"


def _peer(row: Row, name: str) -> str:
    if name not in row.peers or row.ours is None:
        return "-"
    median = row.peers[name].median
    return f"{median:.2f} ({median / row.ours.median:.2f}x)"
