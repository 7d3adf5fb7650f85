"""The losses of a run: a CSV file and its plot.

python -m duplex_agent.train.log FILE.csv ...    draws the plot of each beside it
"""

import csv
import sys
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


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(plot_loss(Path(name)))
