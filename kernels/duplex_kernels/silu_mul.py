"""SiLU of the gate times the up projection: the middle of a gated MLP.

Read: both halves of the fused projection. Written: one half's size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import refuse_bfloat16_in_interpreter, resolve, same_device
from duplex_kernels.configuration import Configuration
from duplex_kernels.errors import ShapeError


def reference(gate_up: Tensor) -> Tensor:
    """Plain fp32 arithmetic, rounded once."""
    gate, up = gate_up.float().chunk(2, dim=-1)
    return (F.silu(gate) * up).to(gate_up.dtype)


def triton(gate_up: Tensor) -> Tensor:
    """One program for each row and 512 columns."""
    from duplex_kernels.silu_mul_triton import launch

    refuse_bfloat16_in_interpreter(gate_up)
    with torch.cuda.device_of(gate_up):
        return launch(gate_up)


def silu_mul(gate_up: Tensor, *, backend: str | None = None) -> Tensor:
    """``gate_up`` [..., 2 * width], gate first -> [..., width] of the same type.

    Raises ShapeError, DtypeError, LayoutError or BackendUnavailable before any launch.
    """
    chosen = resolve(backend, same_device(gate_up=gate_up), ("triton", "reference"))
    if gate_up.shape[-1] == 0 or gate_up.shape[-1] % 2:
        raise ShapeError(f"rows of {gate_up.shape[-1]} elements have no two halves")
    checks.floats(gate_up=gate_up)
    checks.contiguous(gate_up=gate_up)
    return (triton if chosen == "triton" else reference)(gate_up)


def configurations() -> list[Configuration]:
    """Variants that must compile well."""
    from duplex_kernels.silu_mul_triton import configurations as declared

    return declared()
