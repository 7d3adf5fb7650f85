"""Triton kernel of `rms_norm`."""

# Kernel arguments are pointers and numbers of a language of its own, which has no Python types.
# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from duplex_kernels.configuration import Configuration


@triton.jit
def _rms_norm_kernel(
    x,
    residual,
    weight,
    normed,
    total,
    eps,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * WIDTH
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    value = tl.load(x + row + column, mask=inside, other=0.0).to(tl.float32)
    if HAS_RESIDUAL:
        value += tl.load(residual + row + column, mask=inside, other=0.0).to(tl.float32)
        rounded = value.to(total.dtype.element_ty)
        tl.store(total + row + column, rounded, mask=inside)
        value = rounded.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, axis=0) / WIDTH + eps)
    gain = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(normed + row + column, (value * scale * gain).to(normed.dtype.element_ty), mask=inside)


def _warps(block: int) -> int:
    """Eight elements for each thread: one 16-byte load of half precision."""
    return max(1, min(16, block // 256))


def launch(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Arguments as checked by `rms_norm`."""
    width = x.shape[-1]
    rows = x.numel() // width
    normed = torch.empty_like(x)
    total = x if residual is None else torch.empty_like(x)
    block = triton.next_power_of_2(width)
    if rows:
        _rms_norm_kernel[(rows,)](
            x,
            residual,
            weight,
            normed,
            total,
            eps,
            WIDTH=width,
            BLOCK=block,
            HAS_RESIDUAL=residual is not None,
            num_warps=_warps(block),
        )
    return normed, total


def configurations() -> list[Configuration]:
    pointers = ("x", "residual", "weight", "normed", "total")
    return [
        Configuration(
            name=f"rms_norm {kind} {width}",
            kernel=_rms_norm_kernel,
            types={**dict.fromkeys(pointers, f"*{kind}"), "eps": "fp32"},
            constants={
                "WIDTH": width,
                "BLOCK": triton.next_power_of_2(width),
                "HAS_RESIDUAL": True,
            },
            aligned=pointers,
            warps=_warps(triton.next_power_of_2(width)),
            max_registers=64,
        )
        for kind, width in (("bf16", 576), ("bf16", 896), ("fp16", 4096), ("fp32", 576))
    ]
