"""One Euler step of the flow head for all slots, with modulations made for all steps beforehand.

Shift, scale and gate depend on the condition and the time but not on the noisy token, so
`modulations` makes those of every step in one product and `flow_head_step` only applies them.
A one-step flow map is the same arithmetic with one step of size 1; the two differ in the time
embedding given. `FlowHeadSampler` runs the whole loop, on a GPU as one CUDA graph.

The residual stream and the token are float32 whatever the weights are. Letters as in
`flow_head_weights`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import refuse_bfloat16_in_interpreter, resolve, same_device
from duplex_kernels.configuration import Configuration
from duplex_kernels.errors import ShapeError
from duplex_kernels.flow_head_weights import FlowHeadWeights

EPS = 1e-5


def reference_modulations(weights: FlowHeadWeights, condition: Tensor, time: Tensor) -> Tensor:
    """Plain fp32 arithmetic, rounded once."""
    wide = weights.to(torch.float32)
    known = F.linear(condition.float(), wide.condition, wide.condition_bias)  # [S, W]
    mixed = F.silu(known + time.float()[:, None])  # [N, S, W]
    return F.linear(mixed, wide.modulation, wide.modulation_bias).to(weights.dtype)


def triton_modulations(weights: FlowHeadWeights, condition: Tensor, time: Tensor) -> Tensor:
    """One kernel for the mixture of condition and time, one cuBLAS product for the rest."""
    from duplex_kernels.flow_head_step_triton import launch_modulations

    refuse_bfloat16_in_interpreter(condition, weights.enter)
    steps, slots = len(time), len(condition)
    mixed = condition.new_empty((steps * slots, weights.width), dtype=weights.dtype)
    out = condition.new_empty((steps * slots, weights.modulations), dtype=weights.dtype)
    with torch.cuda.device_of(condition):
        launch_modulations(weights, condition, time, mixed, out)
    return out.view(steps, slots, weights.modulations)


def modulations(
    weights: FlowHeadWeights, condition: Tensor, time: Tensor, *, backend: str | None = None
) -> Tensor:
    """``condition`` [S, C] and ``time`` [N, W], embedded -> [N, S, M] in the weights' type.

    Raises ShapeError, DtypeError, LayoutError, DeviceError or BackendUnavailable.
    """
    device = same_device(weights=weights.enter, condition=condition, time=time)
    chosen = resolve(backend, device, ("triton", "reference"))
    checks.floats(condition=condition, time=time)
    if condition.dim() != 2 or time.dim() != 2:
        raise ShapeError("condition is [slots, condition width], time is [steps, width]")
    checks.shape((len(condition), weights.condition.shape[1]), condition=condition)
    checks.shape((len(time), weights.width), time=time)
    checks.contiguous(condition=condition, time=time)
    run = triton_modulations if chosen == "triton" else reference_modulations
    return run(weights, condition, time)


def reference(
    weights: FlowHeadWeights, token: Tensor, modulation: Tensor, step_size: float
) -> Tensor:
    """Plain fp32 arithmetic."""
    wide = weights.to(torch.float32)
    parts = modulation.float().split(weights.width, dim=-1)
    x = F.linear(token, wide.enter, wide.enter_bias)  # [S, W]
    for block in range(weights.blocks):
        shift, scale, gate = parts[3 * block : 3 * block + 3]
        y = F.layer_norm(x, (weights.width,), eps=EPS) * (1 + scale) + shift
        y = F.silu(F.linear(y, wide.up[block], wide.up_bias[block]))
        x = x + gate * F.linear(y, wide.down[block], wide.down_bias[block])
    shift, scale = parts[-2:]
    y = F.layer_norm(x, (weights.width,), eps=EPS) * (1 + scale) + shift
    return token + step_size * F.linear(y, wide.out, wide.out_bias)


def triton(weights: FlowHeadWeights, token: Tensor, modulation: Tensor, step_size: float) -> Tensor:
    """2 B + 2 kernels: norm and modulation enter each product, gate and residual leave it."""
    from duplex_kernels.flow_head_step_triton import launch_step

    refuse_bfloat16_in_interpreter(weights.enter)
    stream = token.new_empty((len(token), weights.width))
    hidden = token.new_empty((len(token), weights.width), dtype=weights.dtype)
    out = token.new_empty(token.shape)
    with torch.cuda.device_of(token):
        launch_step(weights, token, modulation, step_size, stream, hidden, out)
    return out


def flow_head_step(
    weights: FlowHeadWeights,
    token: Tensor,
    modulation: Tensor,
    step_size: float,
    *,
    backend: str | None = None,
) -> Tensor:
    """``token`` [S, L] float32, ``modulation`` [S, M] -> token + step_size * velocity, float32.

    A slot's result does not depend on the other slots, bit for bit. Raises ShapeError, DtypeError,
    LayoutError, DeviceError or BackendUnavailable before any launch.
    """
    device = same_device(weights=weights.enter, token=token, modulation=modulation)
    chosen = resolve(backend, device, ("triton", "reference"))
    if token.dim() != 2:
        raise ShapeError(f"token has shape {tuple(token.shape)}, not [slots, latent]")
    checks.shape((len(token), weights.latent), token=token)
    checks.shape((len(token), weights.modulations), modulation=modulation)
    checks.dtype(torch.float32, token=token)
    checks.dtype(weights.dtype, modulation=modulation)
    checks.contiguous(token=token, modulation=modulation)
    return (triton if chosen == "triton" else reference)(weights, token, modulation, step_size)


def configurations() -> list[Configuration]:
    """Variants that must compile well."""
    from duplex_kernels.flow_head_step_triton import configurations as declared

    return declared()
