"""Triton kernel of `silu_mul`."""

# Kernel arguments are pointers and numbers of a language of its own, which has no Python types.
# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from duplex_kernels.configuration import Configuration

# Divides the usual widths (1536 = 3 x 512), and two warps then load 16 bytes of half precision
# for each thread.
_BLOCK = 512
_WARPS = 2


@triton.jit
def _silu_mul_kernel(gate_up, out, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < WIDTH
    at = gate_up + row * 2 * WIDTH + column
    gate = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(at + WIDTH, mask=inside, other=0.0).to(tl.float32)
    value = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + row * WIDTH + column, value.to(out.dtype.element_ty), mask=inside)


def launch(gate_up: Tensor) -> Tensor:
    """Argument as checked by `silu_mul`."""
    width = gate_up.shape[-1] // 2
    out = torch.empty((*gate_up.shape[:-1], width), dtype=gate_up.dtype, device=gate_up.device)
    rows = out.numel() // width
    if rows:
        grid = (rows, triton.cdiv(width, _BLOCK))
        _silu_mul_kernel[grid](gate_up, out, WIDTH=width, BLOCK=_BLOCK, num_warps=_WARPS)
    return out


def configurations() -> list[Configuration]:
    return [
        Configuration(
            name=f"silu_mul {kind} {width}",
            kernel=_silu_mul_kernel,
            types={"gate_up": f"*{kind}", "out": f"*{kind}"},
            constants={"WIDTH": width, "BLOCK": _BLOCK},
            aligned=("gate_up", "out"),
            warps=_WARPS,
            max_registers=48,
        )
        for kind, width in (("bf16", 1536), ("bf16", 4864), ("fp16", 1536), ("fp32", 1536))
    ]
