import errno
from pathlib import Path

import pytest
import torch

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint


def test_int8_keeps_matrices_within_half_a_step(tmp_path: Path) -> None:
    matrix = torch.randn(64, 96, generator=torch.Generator().manual_seed(0))
    checkpoint.save(tmp_path / "w.safetensors", {"m": matrix}, {"recipe": "x"}, int8=True)
    tensors, metadata = checkpoint.load(tmp_path / "w.safetensors")
    step = matrix.abs().amax(dim=1, keepdim=True) / 127
    assert metadata["recipe"] == "x"
    assert ((tensors["m"] - matrix).abs() <= 0.51 * step).all()


def test_nan_is_refused_on_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    bad = torch.tensor([1.0, float("nan")])
    with pytest.raises(CheckpointError, match="NaN"):
        checkpoint.save(path, {"m": bad}, {}, int8=False)
    assert not path.exists()
    from safetensors.torch import save_file

    save_file({"m": bad}, path)
    with pytest.raises(CheckpointError, match="NaN"):
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


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(CheckpointError, match="do not fit Linear"):
        checkpoint.load_module(torch.nn.Linear(3, 2), {"weight": torch.zeros(2, 2)})


def test_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint.save(tmp_path / "w.safetensors", {"m": torch.zeros(2)}, {}, int8=False)
    assert list(tmp_path.iterdir()) == []
