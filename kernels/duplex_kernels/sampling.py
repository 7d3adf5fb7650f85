"""Temperature, top-k and top-p sampling on the device, without the host ever waiting.

Read: the logits, some twenty times from the L2 cache. Written: one token for each slot, and the
slot's random offset moved on by one. The draw depends on nothing but the slot's own row, seed and
offset, so a conversation repeats exactly whoever else is in the batch.

Order and meaning are those of common practice: temperature, then the k largest, then the smallest
set of most likely tokens whose share of what is left reaches p. Tokens equal to the last one kept
are kept too. Logits may be -inf, but not all of a row, and neither +inf nor NaN.
"""

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import refuse_bfloat16_in_interpreter, resolve, same_device
from duplex_kernels.configuration import Configuration
from duplex_kernels.errors import ShapeError
from duplex_kernels.philox import uniform

COLDEST = 1e-6
"""Least temperature that is divided by; 0 and less mean the largest logit."""


def reference(
    logits: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    seeds: Tensor,
    offsets: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """Plain fp32 arithmetic over sorted logits."""
    vocabulary = logits.shape[1]
    wide = logits.float()
    inverse = 1 / temperature.clamp_min(COLDEST)[:, None]
    ordered = wide.sort(dim=1, descending=True).values
    limited = torch.where((top_k > 0) & (top_k < vocabulary), top_k, vocabulary)
    kth = ordered.gather(1, limited[:, None].long() - 1)
    weight = ((ordered - ordered[:, :1]) * inverse).exp() * (ordered >= kth)
    mass = weight.cumsum(dim=1)
    # A token stays while the mass before it falls short.
    short = (mass - weight < top_p[:, None] * mass[:, -1:]) | (top_p[:, None] >= 1)
    short[:, 0] = True
    last = ordered.gather(1, short.sum(dim=1, keepdim=True) - 1).maximum(kth)
    mass = (((wide - ordered[:, :1]) * inverse).exp() * (wide >= last)).cumsum(dim=1)
    drawn = mass > uniform(seeds, offsets)[:, None] * mass[:, -1:]
    tokens = torch.where(temperature > 0, drawn.int().argmax(dim=1), wide.argmax(dim=1))
    living = torch.ones_like(tokens, dtype=torch.bool) if active is None else active
    offsets += living.long()
    return torch.where(living, tokens, -1)


def triton(
    logits: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    seeds: Tensor,
    offsets: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """One program for each slot; thresholds by search over the logits' bit patterns, no sort."""
    from duplex_kernels.sampling_triton import launch

    refuse_bfloat16_in_interpreter(logits)
    with torch.cuda.device_of(logits):
        return launch(logits, temperature, top_k, top_p, seeds, offsets, active, COLDEST)


def sample(
    logits: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    seeds: Tensor,
    offsets: Tensor,
    active: Tensor | None = None,
    *,
    backend: str | None = None,
) -> Tensor:
    """``logits`` [slots, vocabulary] -> tokens [slots], int64; ``offsets`` is moved on in place.

    For each slot: ``temperature`` float32 (0 or less: the largest logit), ``top_k`` int32 (0 or
    less: all), ``top_p`` float32 (1 or more: all), ``seeds`` and ``offsets`` int64, the key and
    the counter of a Philox generator. A slot with ``active`` False gets -1 and keeps its offset.
    All values stay on the device. Raises ShapeError, DtypeError, LayoutError, DeviceError or
    BackendUnavailable before any launch.
    """
    floats = {"temperature": temperature, "top_p": top_p}
    integers = {"seeds": seeds, "offsets": offsets}
    device = same_device(logits=logits, top_k=top_k, active=active, **floats, **integers)
    chosen = resolve(backend, device, ("triton", "reference"))
    if logits.dim() != 2 or not 1 <= logits.shape[1] < 2**31:
        raise ShapeError(f"logits of shape {tuple(logits.shape)}, not [slots, vocabulary]")
    checks.floats(logits=logits)
    checks.dtype(torch.float32, **floats)
    checks.dtype(torch.int64, **integers)
    checks.dtype(torch.int32, top_k=top_k)
    checks.dtype(torch.bool, active=active)
    checks.shape((len(logits),), top_k=top_k, active=active, **floats, **integers)
    checks.contiguous(logits=logits, top_k=top_k, active=active, **floats, **integers)
    run = triton if chosen == "triton" else reference
    return run(logits, temperature, top_k, top_p, seeds, offsets, active)


def configurations() -> list[Configuration]:
    """Variants that must compile well."""
    from duplex_kernels.sampling_triton import configurations as declared

    return declared(COLDEST)
