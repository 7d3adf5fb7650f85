"""How long one call takes: replays of a CUDA graph, launches from Python, or seconds on a CPU."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles

import torch

from duplex_kernels.bench.case import Run

_REPEATS = 25
_CALLS = 64
"""Least calls in one timed piece, so that the ends of a piece weigh little."""


@dataclass(frozen=True)
class Time:
    """Microseconds for one call: median and the central half of the repeats."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(samples: list[float]) -> "Time":
        """From seconds for each repeat."""
        low, median, high = (1e6 * value for value in quantiles(samples, n=4))
        return Time(median, low, high)


def _order(sets: int) -> list[int]:
    return list(range(sets)) * -(-_CALLS // sets)


def graphed(run: Run, sets: int) -> Time:
    """Calls on rotating buffer sets captured in one graph, which is replayed."""
    order = _order(sets)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for number in range(sets):
            run(number)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for number in order:
            run(number)
    graph.replay()
    return Time.of([_elapsed(graph.replay) / len(order) for _ in range(_REPEATS)])


def launched(run: Run, sets: int) -> Time:
    """The same calls as Python launches them, host time included where it is the longer."""
    order = _order(sets)

    def every() -> None:
        for number in order:
            run(number)

    every()
    return Time.of([_elapsed(every) / len(order) for _ in range(_REPEATS)])


def interpreted(run: Run, sets: int) -> Time:
    """Seconds of Triton's interpreter or of PyTorch on the CPU: not a figure of performance."""
    samples = []
    for number in range(max(2, sets)):
        began = time.perf_counter()
        run(number % sets)
        samples.append(time.perf_counter() - began)
    return Time.of(samples)


def _elapsed(work: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3
