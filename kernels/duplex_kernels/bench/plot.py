"""A picture for each table: our time, the peers' and the floor at every shape."""

from collections.abc import Sequence
from pathlib import Path

from duplex_kernels.bench.table import Row


def draw(rows: Sequence[Row], subtitle: str, path: Path) -> bool:
    """Write a PNG of one table's rows; False without matplotlib or without any time."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    timed = [row for row in rows if row.ours is not None]
    if not timed:
        return False
    places = list(range(len(timed)))
    figure = Figure(figsize=(max(6.0, 0.9 * len(timed)), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(places, [row.ours.median for row in timed if row.ours], "o-", label="ours")
    for name in dict.fromkeys(name for row in timed for name in row.peers):
        shown = [(at, row.peers[name].median) for at, row in enumerate(timed) if name in row.peers]
        axes.plot(*zip(*shown, strict=True), ".:", label=name)
    floors = [(at, row.floor) for at, row in enumerate(timed) if row.floor is not None]
    if floors:
        axes.plot(*zip(*floors, strict=True), "k_", markersize=12, label="floor")
    axes.set(yscale="log", ylabel="µs per call", title=f"{timed[0].table}\n{subtitle}")
    axes.set_xticks(places, [row.shape for row in timed], rotation=40, ha="right", fontsize=7)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    return True
