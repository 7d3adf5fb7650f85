"""RMSNorm with residual, against the reference; in the interpreter where there is no GPU."""

import pytest
import torch
from duplex_kernels.errors import DeviceError, DtypeError, LayoutError, ShapeError
from duplex_kernels.rms_norm import reference, rms_norm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def _inputs(
    seed: int, *shape: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x, residual = torch.randn(2, *shape, generator=rng).to(DEVICE, dtype)
    weight = 0.5 + torch.rand(shape[-1], generator=rng).to(DEVICE, dtype)
    return x, residual, weight


def _check(x: Tensor, residual: Tensor | None, weight: Tensor) -> None:
    normed, total = rms_norm(x, residual, weight, backend="triton")
    wanted, wanted_total = reference(x, residual, weight)
    assert torch.equal(total, wanted_total)
    assert normed.dtype == x.dtype
    torch.testing.assert_close(normed, wanted, atol=TOLERANCE[x.dtype], rtol=0)


@settings(deadline=None, max_examples=8)
@given(
    width=st.integers(1, 700),
    rows=st.integers(0, 3),
    with_residual=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float16]),
)
def test_any_width_agrees_with_the_reference(
    width: int, rows: int, with_residual: bool, dtype: torch.dtype
) -> None:
    x, residual, weight = _inputs(width, 1, rows, width, dtype=dtype)
    _check(x, residual if with_residual else None, weight)


@pytest.mark.gpu
@pytest.mark.parametrize("width", [576, 896, 8192])
def test_bfloat16_on_hardware(width: int) -> None:
    _check(*_inputs(3, 33, width, dtype=torch.bfloat16))


def test_a_row_alone_equals_the_row_in_a_batch() -> None:
    x, residual, weight = _inputs(1, 5, 96)
    together = rms_norm(x, residual, weight, backend="triton")
    alone = rms_norm(x[3:4], residual[3:4], weight, backend="triton")
    for one, many in zip(alone, together, strict=True):
        assert torch.equal(one[0], many[3])


def test_without_a_residual_the_sum_is_the_input_itself() -> None:
    x, _, weight = _inputs(2, 2, 8)
    assert rms_norm(x, None, weight)[1] is x


def test_wrong_arguments_are_refused_before_launch() -> None:
    x, residual, weight = _inputs(4, 4, 16)
    with pytest.raises(ShapeError, match="weight"):
        rms_norm(x, residual, weight[:8])
    with pytest.raises(ShapeError, match="residual"):
        rms_norm(x, residual[:2], weight)
    with pytest.raises(ShapeError, match="8192"):
        rms_norm(*_inputs(5, 1, 8193))
    with pytest.raises(DtypeError, match="residual"):
        rms_norm(x, residual.half(), weight)
    with pytest.raises(DtypeError, match="int32"):
        rms_norm(x.int(), None, weight)
    with pytest.raises(LayoutError, match="strides"):
        rms_norm(x.T.contiguous().T, residual, weight)
    with pytest.raises(DeviceError, match="weight on meta"):
        rms_norm(x, residual, weight.to("meta"))


@pytest.mark.skipif(DEVICE == "cuda", reason="the interpreter is not in use")
def test_the_interpreter_refuses_bfloat16() -> None:
    with pytest.raises(DtypeError, match="bfloat16"):
        rms_norm(*_inputs(6, 2, 8, dtype=torch.bfloat16), backend="triton")
