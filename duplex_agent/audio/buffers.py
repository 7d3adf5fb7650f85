"""Sample buffers that turn blocks of any length into blocks of one length."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class Blocks:
    """Collects mono float32 samples and hands them out ``size`` at a time.

    The remainder stays inside until more arrives: this is how 1,280-sample ticks become the
    512-sample windows of Silero, and how a file's blocks become ticks.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"block size must be positive, got {size}")
        self.size = size
        self.rest: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def push(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield every full block [size] that ``samples`` [n] completes, oldest first."""
        joined = np.concatenate([self.rest, samples]) if len(self.rest) else samples
        full = len(joined) - len(joined) % self.size
        self.rest = joined[full:].copy()
        return (joined[i : i + self.size] for i in range(0, full, self.size))

    def flush(self) -> NDArray[np.float32] | None:
        """The remainder padded with silence to one block, or None when nothing is left."""
        if not len(self.rest):
            return None
        block = np.zeros(self.size, dtype=np.float32)
        block[: len(self.rest)] = self.rest
        self.rest = self.rest[:0]
        return block

    def clone(self) -> "Blocks":
        copy = Blocks(self.size)
        copy.rest = self.rest.copy()
        return copy
