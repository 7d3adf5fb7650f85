"""Triton kernel of `flow_head_step`: a product of few rows with everything around it fused in.

At 16 to 256 rows a product is bound by launches and by reading the weights once, so the norm is
computed again by every program of a row instead of taking a launch of its own. The tile is the
same for every number of slots: sums are then made in the same order whoever else is there.
"""

# Kernel arguments are pointers and numbers of a language of its own, which has no Python types.
# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from duplex_kernels.configuration import Configuration
from duplex_kernels.flow_head_weights import FlowHeadWeights

_ROWS = 16
_COLUMNS = 32
_DEPTH = 128
_WARPS = 4
_STAGES = 3


@triton.jit
def _linear_kernel(
    x,  # [rows, IN]
    weight,  # [OUT, IN]
    bias,  # [OUT]
    shift,  # [rows, IN], rows `modulation_stride` apart; so are scale and gate
    scale,
    gate,  # [rows, OUT]
    base,  # [rows, OUT]; may be `out`
    time,  # [steps, OUT]
    out,  # [rows, OUT], or [steps, rows, OUT] if TIMED
    rows,
    modulation_stride,
    step_size,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    NORM: tl.constexpr,
    SILU: tl.constexpr,
    GATED: tl.constexpr,
    ADDED: tl.constexpr,
    TIMED: tl.constexpr,
    EPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    live = row < rows
    written = column < OUT

    # Mean and sum of squared deviations of each row, tile by tile (Chan, Golub and LeVeque 1979):
    # one pass, and no difference of large numbers.
    mean = tl.zeros([ROWS], tl.float32)
    spread = tl.zeros([ROWS], tl.float32)
    if NORM:
        for start in tl.static_range(0, IN, DEPTH):
            k = start + tl.arange(0, DEPTH)
            valid = live[:, None] & (k < IN)[None, :]
            value = tl.load(x + row[:, None] * IN + k[None, :], mask=valid, other=0.0)
            value = value.to(tl.float32)
            count = tl.minimum(IN - start, DEPTH).to(tl.float32)
            share = count / (start + count)
            tile_mean = tl.sum(value, axis=1) / count
            deviation = tl.where(valid, value - tile_mean[:, None], 0.0)
            difference = tile_mean - mean
            spread += tl.sum(deviation * deviation, axis=1)
            spread += difference * difference * (start * share)
            mean += difference * share
    inverse = tl.rsqrt(spread / IN + EPS)

    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, IN, DEPTH):
        k = start + tl.arange(0, DEPTH)
        valid = live[:, None] & (k < IN)[None, :]
        left = tl.load(x + row[:, None] * IN + k[None, :], mask=valid, other=0.0)
        if NORM:
            at = row[:, None] * modulation_stride + k[None, :]
            gain = tl.load(scale + at, mask=valid, other=0.0).to(tl.float32)
            offset = tl.load(shift + at, mask=valid, other=0.0).to(tl.float32)
            left = (left.to(tl.float32) - mean[:, None]) * inverse[:, None]
            left = tl.where(valid, left * (1.0 + gain) + offset, 0.0)
        right = tl.load(
            weight + column[None, :] * IN + k[:, None],
            mask=(k < IN)[:, None] & written[None, :],
            other=0.0,
        )
        total = tl.dot(left.to(right.dtype), right, total, input_precision="ieee")

    total += tl.load(bias + column, mask=written, other=0.0).to(tl.float32)[None, :]
    if TIMED:
        step = tl.program_id(2)
        total += tl.load(time + step * OUT + column, mask=written, other=0.0).to(tl.float32)[None]
        out += step * rows * OUT
    if SILU:
        total = total / (1.0 + tl.exp(-total))
    valid = live[:, None] & written[None, :]
    if GATED:
        at = gate + row[:, None] * modulation_stride + column[None, :]
        total *= tl.load(at, mask=valid, other=0.0).to(tl.float32)
    at = row[:, None] * OUT + column[None, :]
    if ADDED:
        total = tl.load(base + at, mask=valid, other=0.0).to(tl.float32) + step_size * total
    tl.store(out + at, total.to(out.dtype.element_ty), mask=valid)


def _depth(columns: int) -> int:
    return min(_DEPTH, max(16, triton.next_power_of_2(columns)))


def _linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    out: Tensor,
    *,
    modulation: tuple[Tensor, Tensor] | None = None,
    gate: Tensor | None = None,
    base: Tensor | None = None,
    time: Tensor | None = None,
    silu: bool = False,
    step_size: float = 1.0,
) -> None:
    rows, columns = len(x), weight.shape[0]
    shift, scale = modulation or (x, x)
    strided = gate if modulation is None else shift
    grid = (
        triton.cdiv(columns, _COLUMNS),
        triton.cdiv(rows, _ROWS),
        1 if time is None else len(time),
    )
    _linear_kernel[grid](
        x,
        weight,
        bias,
        shift,
        scale,
        x if gate is None else gate,
        out if base is None else base,
        x if time is None else time,
        out,
        rows,
        0 if strided is None else strided.stride(0),
        step_size,
        IN=weight.shape[1],
        OUT=columns,
        NORM=modulation is not None,
        SILU=silu,
        GATED=gate is not None,
        ADDED=base is not None,
        TIMED=time is not None,
        EPS=1e-5,
        ROWS=_ROWS,
        COLUMNS=_COLUMNS,
        DEPTH=_depth(weight.shape[1]),
        num_warps=_WARPS,
        num_stages=_STAGES,
    )


def launch_modulations(
    weights: FlowHeadWeights, condition: Tensor, time: Tensor, mixed: Tensor, out: Tensor
) -> None:
    """Writes ``mixed`` [N S, W] on the way to ``out`` [N S, M]; arguments as checked before."""
    if not len(mixed):
        return
    _linear(condition, weights.condition, weights.condition_bias, mixed, time=time, silu=True)
    torch.addmm(weights.modulation_bias, mixed, weights.modulation.t(), out=out)


def launch_step(
    weights: FlowHeadWeights,
    token: Tensor,
    modulation: Tensor,
    step_size: float,
    stream: Tensor,
    hidden: Tensor,
    out: Tensor,
) -> None:
    """Writes ``out`` [S, L], which may be ``token``; ``stream`` and ``hidden`` [S, W] are scratch.

    Arguments as checked by `flow_head_step`.
    """
    if not len(token):
        return
    parts = modulation.split(weights.width, dim=-1)
    _linear(token, weights.enter, weights.enter_bias, stream)
    for block in range(weights.blocks):
        shift, scale, gate = parts[3 * block : 3 * block + 3]
        _linear(
            stream,
            weights.up[block],
            weights.up_bias[block],
            hidden,
            modulation=(shift, scale),
            silu=True,
        )
        _linear(
            hidden,
            weights.down[block],
            weights.down_bias[block],
            stream,
            gate=gate,
            base=stream,
        )
    _linear(
        stream,
        weights.out,
        weights.out_bias,
        out,
        modulation=(parts[-2], parts[-1]),
        base=token,
        step_size=step_size,
    )


def configurations() -> list[Configuration]:
    stages = {
        # name: columns in, columns out, flags, types of x and out (None: the weights' type)
        "condition": ("context", "width", ("SILU", "TIMED"), None, None),
        "enter": ("latent", "width", (), "fp32", "fp32"),
        "up": ("width", "width", ("NORM", "SILU"), "fp32", None),
        "down": ("width", "width", ("GATED", "ADDED"), None, "fp32"),
        "out": ("width", "latent", ("NORM", "ADDED"), "fp32", "fp32"),
    }
    flags = ("NORM", "SILU", "GATED", "ADDED", "TIMED")
    pointers = ("x", "weight", "bias", "shift", "scale", "gate", "base", "time", "out")
    found = []
    for kind, width in (("bf16", 384), ("bf16", 512), ("bf16", 1024), ("fp16", 512)):
        sizes = {"context": 576, "latent": 32, "width": width}
        for name, (columns_in, columns_out, used, x, out) in stages.items():
            found.append(
                Configuration(
                    name=f"flow_head_step {name} {kind} {width}",
                    kernel=_linear_kernel,
                    types={
                        **dict.fromkeys(pointers, f"*{kind}"),
                        "x": f"*{x or kind}",
                        "out": f"*{out or kind}",
                        "base": f"*{out or kind}",
                        "time": f"*{kind}",
                        "rows": "i32",
                        "modulation_stride": "i32",
                        "step_size": "fp32",
                    },
                    constants={
                        "IN": sizes[columns_in],
                        "OUT": sizes[columns_out],
                        **{flag: flag in used for flag in flags},
                        "EPS": 1e-5,
                        "ROWS": _ROWS,
                        "COLUMNS": _COLUMNS,
                        "DEPTH": _depth(sizes[columns_in]),
                    },
                    aligned=(*pointers, "modulation_stride"),
                    warps=_WARPS,
                    stages=_STAGES,
                    max_registers=96,
                    needs_mma=True,
                )
            )
    return found
