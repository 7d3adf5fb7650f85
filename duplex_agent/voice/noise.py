"""Where the voice takes its randomness from: numpy's PCG64, so a seed gives the same everywhere."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

TABLE_SAMPLES: Final = 1 << 17


def noise_source(seed: int) -> np.random.Generator:
    """The source of one reply's noise."""
    return np.random.default_rng(seed)


def normal(source: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Normal noise of unit variance, the next of ``source``."""
    return source.standard_normal(shape, np.float32)


@lru_cache(maxsize=1)
def noise_table() -> NDArray[np.float32]:
    """The fixed stretch of white noise that the codec shapes, [TABLE_SAMPLES], read-only."""
    table = normal(noise_source(1), TABLE_SAMPLES)
    table.setflags(write=False)
    return table
