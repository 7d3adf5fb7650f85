"""The whole sampling loop of the flow head, 512 wide and 6 blocks, against the same loop in
PyTorch: as Python launches it, compiled, and both captured in CUDA graphs."""

from collections.abc import Callable, Iterator
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor

from duplex_kernels.bench.case import Case, Run, Setting
from duplex_kernels.flow_head_sampler import FlowHeadSampler
from duplex_kernels.flow_head_step import EPS
from duplex_kernels.flow_head_weights import FlowHeadWeights


def cases(setting: Setting) -> Iterator[Case]:
    """1, 4 and 8 steps for 1, 64 and 256 conversations."""
    for slots in (2,) if setting.small else (1, 64, 256):
        for steps in (1, 2) if setting.small else (1, 4, 8):
            yield _case(setting, slots, steps)


def _weights(setting: Setting) -> FlowHeadWeights:
    """Random, of a size that keeps activations of order 1."""
    latent, context, width, blocks = (8, 12, 24, 2) if setting.small else (32, 576, 512, 6)

    def matrix(*shape: int) -> Tensor:
        scale = 0.5 * shape[-1] ** -0.5
        return (scale * torch.randn(shape, device=setting.device)).to(setting.dtype)

    modulated = (3 * blocks + 2) * width
    return FlowHeadWeights(
        enter=matrix(width, latent),
        enter_bias=matrix(width),
        condition=matrix(width, context),
        condition_bias=matrix(width),
        modulation=matrix(modulated, width),
        modulation_bias=matrix(modulated),
        up=matrix(blocks, width, width),
        up_bias=matrix(blocks, width),
        down=matrix(blocks, width, width),
        down_bias=matrix(blocks, width),
        out=matrix(latent, width),
        out_bias=matrix(latent),
    )


def plain_table(weights: FlowHeadWeights, condition: Tensor, time: Tensor) -> Tensor:
    """The modulations of all steps, as PyTorch has them."""
    mixed = F.silu(F.linear(condition, weights.condition, weights.condition_bias) + time[:, None])
    return F.linear(mixed, weights.modulation, weights.modulation_bias)


def plain_step(
    weights: FlowHeadWeights, token: Tensor, modulation: Tensor, step_size: float
) -> Tensor:
    """One step in the weights' type, as a model has it."""
    parts = modulation.chunk(3 * weights.blocks + 2, dim=-1)
    x = F.linear(token, weights.enter, weights.enter_bias)
    for block in range(weights.blocks):
        shift, scale, gate = parts[3 * block : 3 * block + 3]
        y = F.layer_norm(x, (weights.width,), eps=EPS) * (1 + scale) + shift
        y = F.silu(F.linear(y, weights.up[block], weights.up_bias[block]))
        x = x + gate * F.linear(y, weights.down[block], weights.down_bias[block])
    y = F.layer_norm(x, (weights.width,), eps=EPS) * (1 + parts[-1]) + parts[-2]
    return token + step_size * F.linear(y, weights.out, weights.out_bias)


def loop(
    weights: FlowHeadWeights,
    condition: Tensor,
    time: Tensor,
    token: Tensor,
    table: Callable[..., Tensor] = plain_table,
    step: Callable[..., Tensor] = plain_step,
) -> Tensor:
    """The whole sampling. Compiled piece by piece: unrolled, eight steps take a minute to
    compile and gain nothing but the border between two steps."""
    for modulation in table(weights, condition, time):
        token = step(weights, token, modulation, 1 / len(time))
    return token


def _case(setting: Setting, slots: int, steps: int) -> Case:
    size = setting.dtype.itemsize
    first = _weights(setting)
    moved = size * sum(getattr(first, field.name).numel() for field in fields(first))
    # Between two frames the language model sweeps the cache, so the weights rotate too.
    sets = setting.sets(moved)
    weights = [first, *(_weights(setting) for _ in range(sets - 1))]
    condition = torch.randn(slots, first.condition.shape[1], device=setting.device)
    condition = condition.to(setting.dtype)
    time = torch.randn(steps, first.width, device=setting.device).to(setting.dtype)
    noise = torch.randn(slots, first.latent, device=setting.device)
    narrow = noise.to(setting.dtype)
    sizes = [1 / steps] * steps
    samplers = [
        FlowHeadSampler(each, time, sizes, slots, backend="triton", graph=False) for each in weights
    ]
    for sampler in samplers:
        sampler.condition.copy_(condition)
        sampler.noise.copy_(noise)

    def check() -> float:
        samplers[0].run()
        exact = loop(first.to(torch.float32), condition.float(), time.float(), noise)
        return float((samplers[0].token - exact).abs().max())

    def eager(i: int) -> Tensor:
        return loop(weights[i], condition, time, narrow)

    peers: dict[str, Run] = {"PyTorch in a graph": eager}
    eager_peers: dict[str, Run] = {"PyTorch": eager}
    if not setting.small:
        torch._dynamo.reset()
        table = torch.compile(plain_table, dynamic=False)
        step = torch.compile(plain_step, dynamic=False)

        def run_compiled(i: int) -> object:
            return loop(weights[i], condition, time, narrow, table, step)

        peers["torch.compile in a graph"] = run_compiled
        eager_peers["torch.compile"] = run_compiled
    products = first.enter.numel() + first.up.numel() + first.down.numel() + first.out.numel()
    once = first.condition.numel() + steps * first.modulation.numel()
    return Case(
        table="flow_head_step",
        shape=f"batch {slots}, {steps} steps",
        ours=lambda i: samplers[i].run(),
        sets=sets,
        moved=moved,
        operations=2 * slots * (steps * products + once),
        check=check,
        tolerance=1e-5 if setting.small else 5e-2,
        peers=peers,
        eager_peers=eager_peers,
    )
