from pathlib import Path

import numpy as np
import pytest

from duplex_agent.runtime.stored_rows import StoredRows


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_rows_are_those_of_the_matrix_in_the_order_asked_for(tmp_path: Path, kind: type) -> None:
    table = np.random.default_rng(0).normal(size=(7, 5)).astype(kind)
    np.save(tmp_path / "table.npy", table)
    rows = StoredRows(tmp_path / "table.npy")
    assert rows.shape == (7, 5)
    assert np.array_equal(rows[[6, 0, 6]], table[[6, 0, 6]])
    assert rows[[]].shape == (0, 5)


@pytest.mark.parametrize("index", [-1, 7])
def test_a_row_that_is_not_there_is_refused(tmp_path: Path, index: int) -> None:
    np.save(tmp_path / "table.npy", np.zeros((7, 5), np.float32))
    with pytest.raises(IndexError, match=f"no row {index} among 7"):
        StoredRows(tmp_path / "table.npy")[[index]]
