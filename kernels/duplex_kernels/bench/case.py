"""One line of a benchmark table: a kernel at one shape, what it must equal and what it is up
against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

Run = Callable[[int], object]
"""Enqueues one call on the buffer set of that number. It neither waits nor looks at results."""


@dataclass(frozen=True)
class Setting:
    """Where the benchmark runs and how large its shapes are."""

    device: torch.device
    small: bool
    """Tiny shapes, in Triton's interpreter: proves that a benchmark runs, measures nothing."""

    @property
    def dtype(self) -> torch.dtype:
        """Bfloat16 on hardware; the interpreter has none."""
        return torch.float32 if self.small else torch.bfloat16

    def sets(self, bytes_per_set: int) -> int:
        """Copies of a case's buffers whose reads exceed the L2 cache several times, at most 64.

        With fewer, a kernel would be timed on data that a real step does not find in the cache.
        """
        if self.small:
            return 2
        cache = torch.cuda.get_device_properties(self.device).L2_cache_size
        return max(2, min(64, 1 + 3 * cache // max(1, bytes_per_set)))


@dataclass(frozen=True)
class Case:
    """``moved`` bytes and ``operations`` are the least one call can do with: the floor."""

    table: str
    shape: str
    """As it stands in the table: «batch 64, context 1024»."""
    ours: Run
    sets: int
    moved: int
    operations: int
    check: Callable[[], float]
    """Largest error of our result on fresh random inputs, against float64 or float32."""
    tolerance: float
    peers: Mapping[str, Run] = field(default_factory=dict)
    """Timed like ours: in a CUDA graph."""
    eager_peers: Mapping[str, Run] = field(default_factory=dict)
    """Timed as launched from Python, for what is used that way."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Peers that could not be had here, with the reason."""
