"""Arrays computed once and kept: a file of them appears whole or not at all."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def store_arrays(target: Path, **arrays: NDArray[np.generic]) -> None:
    """Write ``arrays`` by name into ``target`` (npz)."""
    partial = target.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    partial.rename(target)
