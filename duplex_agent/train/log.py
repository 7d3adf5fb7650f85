"""The figures of a run: a CSV file and its plot."""

import csv
from pathlib import Path


def append_log(log: Path, row: dict[str, float]) -> None:
    """Add a row; the first one decides the columns."""
    new = not log.exists()
    with log.open("a", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})


def plot_loss(log: Path) -> Path:
    """Draw the CSV log next to it as a PNG and return its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with log.open() as file:
        rows = list(csv.DictReader(file))
    figure, axes = pyplot.subplots(figsize=(7, 4))
    steps = [float(r["step"]) for r in rows]
    for column in rows[0]:
        if column not in ("step", "seconds", "lr"):
            axes.plot(steps, [float(r[column]) for r in rows], label=column)
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=log.stem)
    axes.legend()
    axes.grid(alpha=0.3)
    out = log.with_suffix(".png")
    figure.savefig(out, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return out
