"""Triton kernel of `sampling`: thresholds are searched, nothing is sorted.

The order of floating-point numbers is the order of their bit patterns once those of negative
numbers are folded, so «the largest threshold that still keeps enough» is found by cutting an
interval of integers in four at each pass over the row: at most 8 passes for half precision and 16
for float32, and the row stays in the L2 cache.
"""

# Kernel arguments are pointers and numbers of a language of its own, which has no Python types.
# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from duplex_kernels.configuration import Configuration

# Two 16-byte loads of half precision for each thread. With one, the assembler of Triton 3.9 aims at
# two programs for each multiprocessor and spills to get there.
_BLOCK = 8192
_WARPS = 16


@triton.jit
def _keys(value):
    """Integers in the order of the values; -0 and 0 are one."""
    if value.dtype.primitive_bitwidth == 16:
        bits = value.to(tl.int16, bitcast=True).to(tl.int32)
        return tl.where(bits < 0, -(bits & 0x7FFF), bits)
    else:
        bits = value.to(tl.int32, bitcast=True)
        return tl.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


@triton.jit
def _load(row, start, SIZE: tl.constexpr, BLOCK: tl.constexpr):
    column = start + tl.arange(0, BLOCK)
    inside = column < SIZE
    return column, inside, tl.load(row + column, mask=inside, other=float("-inf"))


@triton.jit
def _weight(value, largest, inverse, COUNT: tl.constexpr):
    """1 to count, or the unnormalised probability."""
    if COUNT:
        return tl.full(value.shape, 1.0, tl.float32)
    else:
        return tl.exp((value.to(tl.float32) - largest) * inverse)


@triton.jit
def _threshold(
    row,
    low,
    high,
    wanted,
    largest,
    inverse,
    COUNT: tl.constexpr,
    SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Largest key in [low, high) at and above which the weight is ``wanted``; so it is at low."""
    while high - low > 1:
        # Sums are made in the same order at every pass, so a threshold is judged alike each time.
        span = high - low
        first = low + span // 4
        second = low + span // 2
        third = low + span * 3 // 4
        above_first = tl.zeros([BLOCK], tl.float32)
        above_second = tl.zeros([BLOCK], tl.float32)
        above_third = tl.zeros([BLOCK], tl.float32)
        for start in range(0, SIZE, BLOCK):
            _, inside, value = _load(row, start, SIZE, BLOCK)
            key = _keys(value)
            weight = tl.where(inside, _weight(value, largest, inverse, COUNT), 0.0)
            above_first += tl.where(key >= first.to(tl.int32), weight, 0.0)
            above_second += tl.where(key >= second.to(tl.int32), weight, 0.0)
            above_third += tl.where(key >= third.to(tl.int32), weight, 0.0)
        enough_first = tl.sum(above_first, axis=0) >= wanted
        enough_second = tl.sum(above_second, axis=0) >= wanted
        enough_third = tl.sum(above_third, axis=0) >= wanted
        high = tl.where(enough_third, high, third)
        high = tl.where(enough_second, high, second)
        high = tl.where(enough_first | (first == low), high, first)
        low = tl.where(enough_first, first, low)
        low = tl.where(enough_second, second, low)
        low = tl.where(enough_third, third, low)
    return low


@triton.jit
def _sample_kernel(
    logits,  # [slots, SIZE]
    temperature,  # [slots]; so are all that follow
    top_k,
    top_p,
    seeds,
    offsets,
    active,
    tokens,
    COLDEST: tl.constexpr,
    MASKED: tl.constexpr,
    SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    slot = tl.program_id(0)
    if MASKED:  # noqa: SIM102  (only alone is it decided at compile time)
        if tl.load(active + slot) == 0:
            tl.store(tokens + slot, -1)
            return
    row = logits + slot.to(tl.int64) * SIZE
    warmth = tl.load(temperature + slot)
    inverse = 1.0 / tl.maximum(warmth, COLDEST)
    count = tl.load(top_k + slot)
    share = tl.load(top_p + slot)

    largest = tl.full([BLOCK], float("-inf"), tl.float32)
    low_keys = tl.full([BLOCK], 0x7FFFFFFF, tl.int32)
    high_keys = tl.full([BLOCK], -0x7FFFFFFF, tl.int32)
    for start in range(0, SIZE, BLOCK):
        _, inside, value = _load(row, start, SIZE, BLOCK)
        key = _keys(value)
        largest = tl.maximum(largest, value.to(tl.float32))
        low_keys = tl.minimum(low_keys, tl.where(inside, key, 0x7FFFFFFF))
        high_keys = tl.maximum(high_keys, tl.where(inside, key, -0x7FFFFFFF))
    best = tl.max(largest, axis=0)
    low = tl.min(low_keys, axis=0).to(tl.int64)
    # One past the largest key; an empty interval (one key wide) is a search that is not made.
    end = tl.max(high_keys, axis=0).to(tl.int64) + 1

    limited = (count > 0) & (count < SIZE) & (warmth > 0)
    high = tl.where(limited, end, low + 1)
    low = _threshold(row, low, high, count.to(tl.float32), best, inverse, True, SIZE, BLOCK)

    kept = tl.zeros([BLOCK], tl.float32)
    for start in range(0, SIZE, BLOCK):
        _, inside, value = _load(row, start, SIZE, BLOCK)
        weight = _weight(value, best, inverse, False)
        kept += tl.where(inside & (_keys(value) >= low.to(tl.int32)), weight, 0.0)
    wanted = share * tl.sum(kept, axis=0)
    high = tl.where((share < 1) & (warmth > 0), end, low + 1)
    low = _threshold(row, low, high, wanted, best, inverse, False, SIZE, BLOCK)
    low = tl.where(warmth > 0, low, end - 1)

    kept = tl.zeros([BLOCK], tl.float32)
    for start in range(0, SIZE, BLOCK):
        _, inside, value = _load(row, start, SIZE, BLOCK)
        weight = _weight(value, best, inverse, False)
        kept += tl.where(inside & (_keys(value) >= low.to(tl.int32)), weight, 0.0)
    offset = tl.load(offsets + slot)
    chance = tl.where(warmth > 0, tl.rand(tl.load(seeds + slot), offset), 0.0)
    wanted = chance * tl.sum(kept, axis=0)

    # Inverse distribution function: the first token at which the running mass passes the draw.
    # Where rounding leaves the mass short of it, the last token kept is the answer.
    token = tl.full([], -1, tl.int32)
    found = tl.full([], 0, tl.int32)
    passed = tl.full([], 0.0, tl.float32)
    for start in range(0, SIZE, BLOCK):
        if found == 0:
            column, inside, value = _load(row, start, SIZE, BLOCK)
            inside = inside & (_keys(value) >= low.to(tl.int32))
            weight = tl.where(inside, _weight(value, best, inverse, False), 0.0)
            mass = tl.sum(weight, axis=0)
            token = tl.maximum(token, tl.max(tl.where(inside, column, -1), axis=0))
            if passed + mass > wanted:
                crossed = inside & (passed + tl.cumsum(weight, axis=0) > wanted)
                token = tl.minimum(token, tl.min(tl.where(crossed, column, SIZE), axis=0))
                found = tl.full([], 1, tl.int32)
            passed += mass
    tl.store(tokens + slot, token.to(tl.int64))
    tl.store(offsets + slot, offset + 1)


def launch(
    logits: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    seeds: Tensor,
    offsets: Tensor,
    active: Tensor | None,
    coldest: float,
) -> Tensor:
    """Arguments as checked by `sample`; `coldest`: temperatures below it are taken as it."""
    slots, size = logits.shape
    tokens = torch.empty(slots, dtype=torch.int64, device=logits.device)
    if slots:
        _sample_kernel[(slots,)](
            logits,
            temperature,
            top_k,
            top_p,
            seeds,
            offsets,
            offsets if active is None else active,
            tokens,
            COLDEST=coldest,
            MASKED=active is not None,
            SIZE=size,
            BLOCK=min(_BLOCK, triton.next_power_of_2(size)),
            num_warps=_WARPS,
        )
    return tokens


def configurations(coldest: float) -> list[Configuration]:
    return [
        Configuration(
            name=f"sampling {kind} {size}",
            kernel=_sample_kernel,
            types={
                "logits": f"*{kind}",
                "temperature": "*fp32",
                "top_k": "*i32",
                "top_p": "*fp32",
                "seeds": "*i64",
                "offsets": "*i64",
                "active": "*i1",
                "tokens": "*i64",
            },
            constants={"COLDEST": coldest, "MASKED": True, "SIZE": size, "BLOCK": _BLOCK},
            aligned=("logits",),
            warps=_WARPS,
            # One program's share either way: two of 512 threads would fit with 64 only.
            max_registers=128,
        )
        for kind, size in (("bf16", 49152), ("bf16", 151936), ("fp16", 49152), ("fp32", 49152))
    ]
