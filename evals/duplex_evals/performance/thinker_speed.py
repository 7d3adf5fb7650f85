"""How long one step of the thinker takes, by backend, context and positions per step.

duplex-evals thinker-speed [--model NAME] [--backends A,B] [--contexts N,N] [--repeats N]

Wall time is what a tick waits for; on a busy machine it holds other people's work too, so the time
the calling thread spent on the CPU stands beside it (every backend computes on that one thread).
"""

import os
import time
from dataclasses import dataclass
from typing import Annotated, cast

import numpy as np
import typer
from rich.table import Table

from duplex_agent.llm.load import DEFAULT_MODEL, Backend, load_thinker
from duplex_agent.llm.thinker import Thinker, ThinkerState
from duplex_agent.terminal import Console

_FILL = 64  # positions per append while a context is filled


@dataclass(frozen=True)
class StepTime:
    """Milliseconds of repeated equal steps: median, 10th and 90th percentile, and CPU median."""

    median: float
    low: float
    high: float
    cpu: float


def fill(thinker: Thinker, state: ThinkerState, length: int, rng: np.random.Generator) -> None:
    """Bring a conversation to `length` positions of random tokens."""
    while state.length < length:
        count = min(_FILL, length - state.length)
        thinker.append(state, thinker.embed(rng.integers(100, 5000, count).tolist()))


def time_steps(thinker: Thinker, state: ThinkerState, positions: int, repeats: int) -> StepTime:
    """Append `positions` embeddings again and again at the state's present length."""
    length = state.length
    rows = thinker.embed(list(range(200, 200 + positions)))
    wall, cpu = [], []
    for repeat in range(repeats + 2):
        start, start_cpu = time.perf_counter(), time.thread_time()
        thinker.append(state, rows)
        if repeat >= 2:  # the first ones also allocate
            cpu.append((time.thread_time() - start_cpu) * 1000)
            wall.append((time.perf_counter() - start) * 1000)
        thinker.truncate(state, length)
    low, median, high = np.percentile(wall, [10, 50, 90])
    return StepTime(float(median), float(low), float(high), float(np.median(cpu)))


def main(
    model: Annotated[str, typer.Option(help="Pretrained part, path or hub name.")] = DEFAULT_MODEL,
    backends: Annotated[str, typer.Option()] = "onnx-int8,onnx-fp32,transformers",
    contexts: Annotated[str, typer.Option()] = "64,512,1024",
    positions: Annotated[str, typer.Option()] = "1,2,4",
    repeats: Annotated[int, typer.Option(min=3)] = 30,
) -> None:
    """Print a table of step times; the ratio is to the first backend of the list, by CPU time."""
    console = Console()
    names = backends.split(",")
    if "transformers" in names:
        import torch

        torch.set_num_threads(1)
    table = Table(title=f"{model}: ms per step, {repeats} steps each")
    for heading in ("backend", "context", "positions", "median", "p10-p90", "CPU", "ratio"):
        table.add_column(heading, justify="left" if heading == "backend" else "right")
    first: dict[tuple[int, int], float] = {}
    load = os.getloadavg()[0]
    for name in names:
        start = time.perf_counter()
        thinker = load_thinker(model, cast(Backend, name))
        loaded = time.perf_counter() - start
        rng = np.random.default_rng(0)
        state = thinker.new_state()
        for context in map(int, contexts.split(",")):
            fill(thinker, state, context, rng)
            for count in map(int, positions.split(",")):
                step = time_steps(thinker, state, count, repeats)
                reference = first.setdefault((context, count), step.cpu)
                table.add_row(
                    name,
                    str(context),
                    str(count),
                    f"{step.median:.1f}",
                    f"{step.low:.1f}-{step.high:.1f}",
                    f"{step.cpu:.1f}",
                    f"{step.cpu / reference:.2f}",
                )
        console.print(f"{name}: loaded in {loaded:.1f} s")
    console.print(table)
    console.print(f"load average at the start {load:.1f} on {os.cpu_count()} processors")
