"""RMSNorm with residual, SiLU x up and sampling: kernels that exist to save launches."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from duplex_kernels import rms_norm, sampling, silu_mul
from duplex_kernels.bench.case import Case, Setting

_EPS = 1e-5


def cases(setting: Setting) -> Iterator[Case]:
    """Batches of decode steps at the widths of models of 135 M and 0.5 B parameters."""
    batches = (2,) if setting.small else (1, 64, 256)
    for width in (24,) if setting.small else (576, 896):
        for rows in batches:
            yield _rms_norm(setting, rows, width)
    for width in (20,) if setting.small else (1536, 4864):
        for rows in batches:
            yield _silu_mul(setting, rows, width)
    for vocabulary in (50,) if setting.small else (49152, 151936):
        for rows in batches:
            yield _sampling(setting, rows, vocabulary)


def _random(setting: Setting, *shape: int) -> Tensor:
    return torch.randn(shape, device=setting.device).to(setting.dtype)


def _compiled(function: Callable[..., object]) -> Callable[..., object]:
    """Specialised to its shapes, and never given up on for having met too many of them."""
    torch._dynamo.reset()
    return torch.compile(function, dynamic=False)


def _rms_norm(setting: Setting, rows: int, width: int) -> Case:
    moved = rows * width * 4 * setting.dtype.itemsize
    sets = setting.sets(moved // 2)
    x = _random(setting, sets, rows, width)
    residual = _random(setting, sets, rows, width)
    weight = _random(setting, width)

    def plain(x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        total = x + residual
        return F.rms_norm(total, (width,), weight, _EPS), total

    def check() -> float:
        found, _ = rms_norm.triton(x[0], residual[0], weight, _EPS)
        total = (x[0] + residual[0]).double()
        exact = F.rms_norm(total, (width,), weight.double(), _EPS)
        return float((found - exact).abs().max() / exact.abs().max())

    return Case(
        table="rms_norm",
        shape=f"batch {rows}, width {width}",
        ours=lambda i: rms_norm.triton(x[i], residual[i], weight, _EPS),
        sets=sets,
        moved=moved,
        operations=0,
        check=check,
        tolerance=5e-3,
        peers={"PyTorch": lambda i: plain(x[i], residual[i])}
        | _when_large(setting, plain, lambda run: lambda i: run(x[i], residual[i])),
    )


def _silu_mul(setting: Setting, rows: int, width: int) -> Case:
    moved = rows * width * 3 * setting.dtype.itemsize
    sets = setting.sets(moved)
    gate_up = _random(setting, sets, rows, 2 * width)

    def plain(gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate) * up

    def check() -> float:
        exact = plain(gate_up[0].double())
        return float((silu_mul.triton(gate_up[0]) - exact).abs().max() / exact.abs().max())

    return Case(
        table="silu_mul",
        shape=f"batch {rows}, width {width}",
        ours=lambda i: silu_mul.triton(gate_up[i]),
        sets=sets,
        moved=moved,
        operations=0,
        check=check,
        tolerance=5e-3,
        peers={"PyTorch": lambda i: plain(gate_up[i])}
        | _when_large(setting, plain, lambda run: lambda i: run(gate_up[i])),
    )


def _sampling(setting: Setting, rows: int, vocabulary: int) -> Case:
    moved = rows * vocabulary * setting.dtype.itemsize
    sets = setting.sets(moved)
    logits = 2 * _random(setting, sets, rows, vocabulary)
    device = setting.device
    temperature = torch.full((rows,), 0.8, device=device)
    top_p = torch.full((rows,), 0.9, device=device)
    top_k = torch.full((rows,), 50, dtype=torch.int32, device=device)
    seeds = torch.arange(rows, device=device)
    offsets = torch.zeros_like(seeds)

    def plain(logits: Tensor) -> Tensor:
        values, tokens = logits.float().topk(50)
        shares = (values / temperature[:, None]).softmax(dim=-1)
        before = shares.cumsum(dim=-1) - shares
        shares = shares.masked_fill(before >= top_p[:, None], 0)
        # torch.multinomial, less the look at its weights for which the host would wait.
        drawn = (shares / torch.empty_like(shares).exponential_()).argmax(dim=-1, keepdim=True)
        return tokens.gather(1, drawn)

    def check() -> float:
        found = sampling.triton(logits[0], temperature, top_k, top_p, seeds, offsets.clone())
        wanted = sampling.reference(logits[0], temperature, top_k, top_p, seeds, offsets.clone())
        return float((found != wanted).float().mean())

    return Case(
        table="sampling",
        shape=f"batch {rows}, vocabulary {vocabulary}",
        ours=lambda i: sampling.triton(logits[i], temperature, top_k, top_p, seeds, offsets),
        sets=sets,
        moved=moved,
        operations=0,
        check=check,
        # A draw within rounding of the border of two tokens may fall to either side.
        tolerance=0.02,
        peers={"PyTorch": lambda i: plain(logits[i])}
        | _when_large(setting, plain, lambda run: lambda i: run(logits[i])),
    )


def _when_large(
    setting: Setting,
    plain: Callable[..., object],
    bind: Callable[[Callable[..., object]], Callable[[int], object]],
) -> dict[str, Callable[[int], object]]:
    """The compiled peer, which needs a compiler for the device."""
    return {} if setting.small else {"torch.compile": bind(_compiled(plain))}
