"""A matrix on disk of which a few rows are wanted at a time, such as a table of embeddings."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class StoredRows:
    """The rows of a matrix in an ``.npy`` file.

    They are read, not mapped: a page of the mapping brings its neighbours along and they all stay
    in memory.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError or ValueError when ``path`` holds no matrix."""
        table: np.memmap[Any, np.dtype[Any]] = np.load(path, mmap_mode="r")
        self.shape = table.shape
        self._kind, self._offset = table.dtype, table.offset
        self._file = path.open("rb", buffering=0)

    def __getitem__(self, indices: Sequence[int]) -> NDArray[Any]:
        """Rows [n, width], each index from 0 on; IndexError for one that is not there."""
        count, width = self.shape
        rows = np.empty((len(indices), width), self._kind)
        for row, index in zip(rows, indices, strict=True):
            if not 0 <= index < count:
                raise IndexError(f"no row {index} among {count}")
            os.preadv(self._file.fileno(), [row], self._offset + index * row.nbytes)
        return rows
