"""SiLU of the gate times the up projection, against the reference."""

import pytest
import torch
from duplex_kernels.errors import BackendUnavailable, DtypeError, LayoutError, ShapeError
from duplex_kernels.silu_mul import reference, silu_mul
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def _rows(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng).clamp(-2, 2).to(DEVICE, dtype)


def _check(gate_up: Tensor) -> None:
    found, wanted = silu_mul(gate_up, backend="triton"), reference(gate_up)
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, atol=TOLERANCE[gate_up.dtype], rtol=0)


@settings(deadline=None, max_examples=12)
@given(
    width=st.integers(1, 1100),
    rows=st.integers(0, 3),
    dtype=st.sampled_from([torch.float32, torch.float16]),
)
def test_any_width_agrees_with_the_reference(width: int, rows: int, dtype: torch.dtype) -> None:
    _check(_rows(width, rows, 2 * width, dtype=dtype))


@pytest.mark.gpu
@pytest.mark.parametrize("width", [1536, 4864])
def test_bfloat16_on_hardware(width: int) -> None:
    _check(_rows(1, 65, 2 * width, dtype=torch.bfloat16))


def test_the_first_half_is_the_gate() -> None:
    gate_up = torch.tensor([[-40.0, 40.0, 3.0, 3.0]], device=DEVICE)
    found = silu_mul(gate_up, backend="triton")[0]
    assert found.tolist() == pytest.approx([0.0, 120.0], abs=1e-5)


def test_a_row_alone_equals_the_row_in_a_batch() -> None:
    gate_up = _rows(2, 4, 120)
    alone = silu_mul(gate_up[2:3], backend="triton")
    assert torch.equal(alone[0], silu_mul(gate_up, backend="triton")[2])


def test_wrong_arguments_are_refused_before_launch() -> None:
    with pytest.raises(ShapeError, match="halves"):
        silu_mul(_rows(3, 2, 7))
    with pytest.raises(DtypeError, match="float64"):
        silu_mul(_rows(3, 2, 8).double())
    with pytest.raises(LayoutError, match="contiguous"):
        silu_mul(_rows(3, 2, 16)[:, :8])
    with pytest.raises(BackendUnavailable, match="flash_attn"):
        silu_mul(_rows(3, 2, 8), backend="flash_attn")
