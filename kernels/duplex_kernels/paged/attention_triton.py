"""The Triton kernels of `paged_attention`: partial softmax for each split, then their combination.

A program of the first kernel has one slot, one key-value head, up to 64 rows (query tokens times
the query heads that share the key-value head, so that few tokens fill a matrix instruction) and one
split of the positions. Splits have a fixed size and begin at multiples of it, and a slot combines
its own splits in order: its result depends on nothing outside it. The grid is that of the longest
conversation the page table can hold; programs without work return at once.
"""

# Kernel arguments are pointers and numbers of a language of its own, which has no Python types.
# mypy: disable-error-code="no-untyped-def"

import math
from functools import cache as remember

import torch
import triton
import triton.language as tl
from torch import Tensor

from duplex_kernels.paged.attention_tiles import (
    GENERATIONS,
    Generation,
    Tile,
    first_capability,
    tile_rows,
    tile_shape,
)
from duplex_kernels.paged.cache import PagedCache, QueryRows
from duplex_kernels.rope_table import RopeTable

# Sinks are padded to the narrowest tile that a matrix instruction takes.
PADDED_SINKS = 16
SPLITS_AT_ONCE = 16


@triton.jit
def _first_position(first_query, WINDOW: tl.constexpr, SINKS: tl.constexpr):
    """The first position read from pages: the first query's window, without the sinks."""
    return tl.maximum(first_query - WINDOW + 1, SINKS) if WINDOW > 0 else first_query * 0


@triton.jit
def split_kernel(
    queries,
    pages,
    scales,
    sinks,
    page_table,
    lengths,
    starts,
    cos,
    sin,
    partial,
    peaks,
    sums,
    scale,
    table_stride,
    Q_HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAGE: tl.constexpr,
    SPLIT: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    WINDOW: tl.constexpr,
    SINKS: tl.constexpr,
    SINK_BLOCK: tl.constexpr,
    INT8: tl.constexpr,
):
    GROUP: tl.constexpr = Q_HEADS // KV_HEADS
    HALF: tl.constexpr = HEAD_DIM // 2
    kv_head = tl.program_id(0) % KV_HEADS
    first_row = tl.program_id(0) // KV_HEADS * ROWS
    slot = tl.program_id(1)
    split = tl.program_id(2)

    start = tl.load(starts + slot)
    n_queries = tl.load(starts + slot + 1) - start
    length = tl.load(lengths + slot)
    first_query = length - n_queries
    first = _first_position(first_query, WINDOW, SINKS)
    # While every token is a sink, the first split still has to run: for the sinks.
    begin = (tl.minimum(first, length - 1) // SPLIT + split) * SPLIT
    if (first_row >= n_queries * GROUP) | (begin >= length):
        return
    end = tl.minimum(begin + SPLIT, length)

    row = first_row + tl.arange(0, ROWS)
    filled = row < n_queries * GROUP
    position = first_query + row // GROUP
    head_row = (start + row // GROUP).to(tl.int64) * Q_HEADS + kv_head * GROUP + row % GROUP
    dim = tl.arange(0, HEAD_DIM)
    q = tl.load(
        queries + head_row[:, None] * HEAD_DIM + dim[None, :], mask=filled[:, None], other=0.0
    )
    peak = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mixed = tl.zeros([ROWS, HEAD_DIM], tl.float32)

    if SINKS > 0:  # noqa: SIM102 - a constant and a run-time value do not go into one `if`
        if split == 0:
            half = tl.arange(0, HALF)
            sink = tl.arange(0, SINK_BLOCK)
            there = (sink < SINKS) & (sink < length)
            # A sink stays just before the window. To move every sink of a row on by the same
            # number of positions is to turn the row's query back by it.
            behind = tl.maximum(position - WINDOW + 1 - SINKS, 0)
            angle = behind[:, None] * HALF + half[None, :]
            c = tl.load(cos + angle, mask=filled[:, None], other=1.0)
            s = tl.load(sin + angle, mask=filled[:, None], other=0.0)
            q_at = queries + head_row[:, None] * HEAD_DIM + half[None, :]
            low = tl.load(q_at, mask=filled[:, None], other=0.0).to(tl.float32)
            high = tl.load(q_at + HALF, mask=filled[:, None], other=0.0).to(tl.float32)
            q_low = (low * c + high * s).to(q.dtype)
            q_high = (high * c - low * s).to(q.dtype)

            key_row = (slot.to(tl.int64) * 2 * KV_HEADS + kv_head) * SINKS + sink
            key_at = sinks + key_row[:, None] * HEAD_DIM + half[None, :]
            low = tl.load(key_at, mask=there[:, None], other=0.0).to(tl.float32)
            high = tl.load(key_at + HALF, mask=there[:, None], other=0.0).to(tl.float32)
            angle = sink[:, None] * HALF + half[None, :]
            c = tl.load(cos + angle, mask=there[:, None], other=1.0)
            s = tl.load(sin + angle, mask=there[:, None], other=0.0)
            k_low = (low * c - high * s).to(q.dtype)
            k_high = (high * c + low * s).to(q.dtype)
            scores = tl.dot(q_low, tl.trans(k_low), input_precision="ieee")
            scores += tl.dot(q_high, tl.trans(k_high), input_precision="ieee")
            visible = there[None, :] & (sink[None, :] <= position[:, None])
            scores = tl.where(visible, scores * scale, float("-inf"))
            # The first token is a sink and visible to all, so no peak is infinite here.
            peak = tl.max(scores, 1)
            weight = tl.exp2(scores - peak[:, None])
            total = tl.sum(weight, 1)
            value_at = sinks + (key_row + KV_HEADS * SINKS)[:, None] * HEAD_DIM + dim[None, :]
            values = tl.load(value_at, mask=there[:, None], other=0.0)
            mixed = tl.dot(weight.to(q.dtype), values, input_precision="ieee")

    for block in tl.range(tl.maximum(begin, first // BLOCK * BLOCK), end, BLOCK):
        key = block + tl.arange(0, BLOCK)
        # Pages in front of the window may belong to somebody else by now: they are not touched.
        inside = (key >= first) & (key < end)
        page = tl.load(page_table + slot * table_stride + key // PAGE, mask=inside, other=0)
        cell = (page.to(tl.int64) * 2 * KV_HEADS + kv_head) * PAGE + key % PAGE
        at = pages + cell[:, None] * HEAD_DIM + dim[None, :]
        keys = tl.load(at, mask=inside[:, None], other=0.0)
        values = tl.load(at + KV_HEADS * PAGE * HEAD_DIM, mask=inside[:, None], other=0.0)
        scores = tl.dot(q, tl.trans(keys.to(q.dtype)), input_precision="ieee") * scale
        if INT8:
            key_scale = tl.load(scales + cell, mask=inside, other=0.0).to(tl.float32)
            scores *= key_scale[None, :]
        visible = inside[None, :] & (key[None, :] <= position[:, None])
        if WINDOW > 0:
            visible &= key[None, :] > position[:, None] - WINDOW
        scores = tl.where(visible, scores, float("-inf"))

        new_peak = tl.maximum(peak, tl.max(scores, 1))
        # A row may see nothing yet, and (-inf) - (-inf) is not a number.
        finite = tl.where(new_peak == float("-inf"), 0.0, new_peak)
        weight = tl.exp2(scores - finite[:, None])
        decay = tl.exp2(peak - finite)
        total = total * decay + tl.sum(weight, 1)
        if INT8:
            value_scale = tl.load(scales + cell + KV_HEADS * PAGE, mask=inside, other=0.0)
            weight *= value_scale.to(tl.float32)[None, :]
        mixed = mixed * decay[:, None]
        mixed += tl.dot(weight.to(q.dtype), values.to(q.dtype), input_precision="ieee")
        peak = new_peak

    out = head_row * SPLITS + split
    tl.store(peaks + out, peak, mask=filled)
    tl.store(sums + out, total, mask=filled)
    tl.store(partial + out[:, None] * HEAD_DIM + dim[None, :], mixed, mask=filled[:, None])


@triton.jit
def combine_kernel(
    partial,
    peaks,
    sums,
    lengths,
    starts,
    slots,
    attended,
    Q_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SPLIT: tl.constexpr,
    SPLITS: tl.constexpr,
    WINDOW: tl.constexpr,
    SINKS: tl.constexpr,
    AT_ONCE: tl.constexpr,
):
    token = tl.program_id(0)
    row = token.to(tl.int64) * Q_HEADS + tl.program_id(1)
    dim = tl.arange(0, HEAD_DIM)
    slot = tl.load(slots + token)
    if slot < 0:
        tl.store(attended + row * HEAD_DIM + dim, tl.zeros([HEAD_DIM], attended.dtype.element_ty))
        return

    length = tl.load(lengths + slot)
    first_query = length - (tl.load(starts + slot + 1) - tl.load(starts + slot))
    first = tl.minimum(_first_position(first_query, WINDOW, SINKS), length - 1)
    count = tl.cdiv(length - first // SPLIT * SPLIT, SPLIT)
    peak = float("-inf")
    total = 0.0
    mixed = tl.zeros([HEAD_DIM], tl.float32)
    for begin in tl.range(0, count, AT_ONCE):
        split = begin + tl.arange(0, AT_ONCE)
        there = split < count
        at = row * SPLITS + split
        peak_here = tl.load(peaks + at, mask=there, other=float("-inf"))
        new_peak = tl.maximum(peak, tl.max(peak_here, 0))
        finite = tl.where(new_peak == float("-inf"), 0.0, new_peak)
        weight = tl.exp2(peak_here - finite)
        decay = tl.exp2(peak - finite)
        parts = tl.load(
            partial + at[:, None] * HEAD_DIM + dim[None, :], mask=there[:, None], other=0.0
        )
        total = total * decay + tl.sum(weight * tl.load(sums + at, mask=there, other=0.0), 0)
        mixed = mixed * decay + tl.sum(weight[:, None] * parts, 0)
        peak = new_peak
    mean = mixed / tl.where(total > 0.0, total, 1.0)
    tl.store(attended + row * HEAD_DIM + dim, mean.to(attended.dtype.element_ty))


def launch(
    queries: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    rope: RopeTable | None,
    window: int,
    scale: float,
    split_tokens: int,
    tile: Tile | None = None,
) -> Tensor:
    """`paged_attention` with arguments already checked. `rope` is None if no sinks are read.

    `tile` is for trying others than that of `tile_shape`. DeviceError for a GPU before sm_80.
    """
    tokens, q_heads, head_dim = queries.shape
    sinks = cache.n_sinks if window and rope is not None else 0
    splits = triton.cdiv(cache.capacity, split_tokens)
    if window:
        # The window of the first query and the tokens after it, however they meet the boundaries.
        splits = min(splits, triton.cdiv(window + rows.max_query - 1, split_tokens) + 1)
    filled = rows.max_query * q_heads // cache.kv_heads
    generation = generation_of(queries.device)
    height = tile_rows(generation, filled, head_dim, sinks > 0)
    block, warps, stages = tile or tile_shape(
        generation, height, head_dim, cache.scales is not None
    )
    partial = queries.new_empty(tokens, q_heads, splits, head_dim, dtype=torch.float32)
    peaks = partial.new_empty(tokens, q_heads, splits)
    sums = partial.new_empty(tokens, q_heads, splits)
    attended = queries.new_empty(queries.shape)
    shared = {
        "Q_HEADS": q_heads,
        "HEAD_DIM": head_dim,
        "SPLIT": split_tokens,
        "SPLITS": splits,
        "WINDOW": window,
        "SINKS": sinks,
    }
    split_kernel[(cache.kv_heads * triton.cdiv(filled, height), cache.slots, splits)](
        queries,
        cache.pages,
        cache.scales,
        cache.sinks if sinks else None,
        cache.page_table,
        cache.lengths,
        rows.starts,
        rope.cos if rope and sinks else None,
        rope.sin if rope and sinks else None,
        partial,
        peaks,
        sums,
        scale * math.log2(math.e),
        cache.page_table.stride(0),
        KV_HEADS=cache.kv_heads,
        PAGE=cache.page_size,
        ROWS=height,
        BLOCK=min(block, split_tokens),
        SINK_BLOCK=PADDED_SINKS,
        INT8=cache.scales is not None,
        num_warps=warps,
        num_stages=stages,
        **shared,
    )
    combine_kernel[(tokens, q_heads)](
        partial,
        peaks,
        sums,
        cache.lengths,
        rows.starts,
        rows.slots,
        attended,
        AT_ONCE=SPLITS_AT_ONCE,
        num_warps=generation.combine_warps,
        **shared,
    )
    return attended


@remember
def generation_of(device: torch.device) -> Generation:
    """The table's entry for a GPU; the interpreter works with that of sm_90.

    Raises DeviceError for a GPU that is too old.
    """
    if device.type != "cuda":
        return GENERATIONS[90]
    major, minor = torch.cuda.get_device_capability(device)
    return GENERATIONS[first_capability(10 * major + minor)]
