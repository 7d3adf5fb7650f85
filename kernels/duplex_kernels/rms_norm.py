"""Residual addition and RMSNorm in one pass: what stands between two layers of a transformer.

Read: x, residual, weight. Written: the new residual and the normalised rows.
"""

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import refuse_bfloat16_in_interpreter, resolve, same_device
from duplex_kernels.configuration import Configuration
from duplex_kernels.errors import ShapeError

WIDEST = 8192
"""Elements of a row that one program holds in registers."""


def reference(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """Plain fp32 arithmetic; the sum is rounded to the residual's type before it is normed."""
    total = x if residual is None else (x.float() + residual.float()).to(x.dtype)
    wide = total.float()
    scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)
    return (wide * scale * weight.float()).to(x.dtype), total


def triton(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """One program for each row."""
    from duplex_kernels.rms_norm_triton import launch

    refuse_bfloat16_in_interpreter(x)
    with torch.cuda.device_of(x):
        return launch(x, residual, weight, eps)


def rms_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    eps: float = 1e-5,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """``x`` [..., width] (+ ``residual``, same shape) -> normed rows times ``weight``, and the sum.

    Both results have the type of ``x``; without a residual the second is ``x`` itself. Raises
    ShapeError, DtypeError, LayoutError, DeviceError or BackendUnavailable before any launch.
    """
    device = same_device(x=x, residual=residual, weight=weight)
    chosen = resolve(backend, device, ("triton", "reference"))
    if not 1 <= x.shape[-1] <= WIDEST:
        raise ShapeError(f"rows of {x.shape[-1]} elements; supported are 1 to {WIDEST}")
    checks.floats(x=x, weight=weight)
    checks.dtype(x.dtype, residual=residual)
    checks.shape(tuple(x.shape), residual=residual)
    checks.shape((x.shape[-1],), weight=weight)
    checks.contiguous(x=x, residual=residual, weight=weight)
    return (triton if chosen == "triton" else reference)(x, residual, weight, eps)


def configurations() -> list[Configuration]:
    """Variants that must compile well."""
    from duplex_kernels.rms_norm_triton import configurations as declared

    return declared()
