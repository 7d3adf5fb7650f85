import errno
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint


def test_int8_keeps_matrices_within_half_a_step(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((64, 96), np.float32)
    checkpoint.save(tmp_path / "w.safetensors", {"m": matrix}, {"recipe": "x"}, int8=True)
    arrays, metadata = checkpoint.load(tmp_path / "w.safetensors")
    step = np.abs(matrix).max(axis=1, keepdims=True) / 127
    assert metadata["recipe"] == "x"
    assert arrays["m"].dtype == np.float32
    assert (np.abs(arrays["m"] - matrix) <= 0.51 * step).all()


def test_a_single_number_stays_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "w.safetensors", {"x": np.array(1.5)}, {}, int8=True)
    arrays, _ = checkpoint.load(tmp_path / "w.safetensors")
    assert arrays["x"].shape == ()
    assert arrays["x"] == 1.5


def test_shipped_levels_are_loaded_and_saved_without_change(tmp_path: Path) -> None:
    shipped = checkpoint.WEIGHTS_DIR / "codec.safetensors"
    arrays, metadata = checkpoint.load(shipped)
    again = tmp_path / "codec.safetensors"
    checkpoint.save(again, arrays, metadata, int8=True)
    before, after = load_file(shipped), load_file(again)
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert array.dtype == after[name].dtype
        if array.dtype == np.int8:
            scale = before[f"{name}.scale"].astype(np.float32)
            assert np.array_equal(arrays[name].T, array.T.astype(np.float32) * scale)
        elif not name.endswith(".scale"):
            assert np.array_equal(array, after[name])


def test_rows_of_zeros_stay_zeros(tmp_path: Path) -> None:
    matrix = np.ones((64, 64), np.float32)
    matrix[5] = 0
    matrix[6] = 1e-9  # below what a float16 scale can tell from zero
    checkpoint.save(tmp_path / "w.safetensors", {"m": matrix}, {}, int8=True)
    loaded = checkpoint.load(tmp_path / "w.safetensors")[0]["m"]
    assert not loaded[5:7].any()
    assert loaded[:5] == pytest.approx(1, rel=1e-3)


def test_a_prefix_picks_a_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    matrix = np.ones((64, 64), np.float32)
    checkpoint.save(path, {"a.m": matrix, "b.m": 2 * matrix}, {}, int8=True)
    arrays = checkpoint.under(checkpoint.load(path, ("b.",))[0], "b.")
    assert list(arrays) == ["m"]
    assert arrays["m"] == pytest.approx(2, rel=1e-3)


def test_nan_is_refused_on_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    bad = np.array([1.0, np.nan], np.float32)
    with pytest.raises(CheckpointError, match="NaN"):
        checkpoint.save(path, {"m": bad}, {}, int8=False)
    assert not path.exists()
    save_file({"m": bad}, path)
    with pytest.raises(CheckpointError, match="NaN"):
        checkpoint.load(path)


def test_levels_without_their_scales_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"m": np.ones((2, 2), np.int8)}, path)
    with pytest.raises(CheckpointError, match="no scales of m"):
        checkpoint.load(path)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x10" + b"\0" * 40])
def test_corrupt_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="corrupt"):
        checkpoint.load(path)


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing; reinstall"):
        checkpoint.load(tmp_path / "none.safetensors")


def test_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint.save(tmp_path / "w.safetensors", {"m": np.zeros(2)}, {}, int8=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"a": (2,), "b": (1,)}, r"b is nothing, not \[1\]"),
        ({"a": (3,)}, r"a is \[2\], not \[3\]"),
        ({}, r"a is \[2\], not nothing"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    wanted: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(CheckpointError, match=f"do not fit the ear: {message}"):
        checkpoint.check_shapes("the ear", {"a": np.zeros(2)}, wanted)
    checkpoint.check_shapes("the ear", {"a": np.zeros(2)}, {"a": (2,)})


def test_a_fingerprint_changes_with_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"abc")
    assert checkpoint.fingerprint(file) == "ba7816bf8f01cfea"
    with pytest.raises(CheckpointError, match="missing; reinstall"):
        checkpoint.fingerprint(tmp_path / "none")
    with pytest.raises(CheckpointError, match="cannot read"):
        checkpoint.fingerprint(tmp_path)
