"""The Triton kernel of `rope_append`: one program for each token and each 16 of its heads."""

# Kernel arguments are pointers and numbers of a language of its own, which has no Python types.
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl
from torch import Tensor

from duplex_kernels.configuration import Configuration
from duplex_kernels.paged.cache import PagedCache, QueryRows
from duplex_kernels.rope_table import RopeTable

# A program takes this many heads: one head alone has too few elements for 16-byte loads.
_HEADS = 16


@triton.jit
def _rope_append_kernel(
    qkv,
    cos,
    sin,
    positions,
    slots,
    page_table,
    pages,
    scales,
    sinks,
    queries,
    qkv_stride,
    table_stride,
    Q_HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAGE: tl.constexpr,
    SINKS: tl.constexpr,
    INT8: tl.constexpr,
    HEADS: tl.constexpr,
):
    HALF: tl.constexpr = HEAD_DIM // 2
    token = tl.program_id(0)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)
    half = tl.arange(0, HALF)
    is_query = (head < Q_HEADS)[:, None]
    query_at = queries + (token * Q_HEADS + head)[:, None].to(tl.int64) * HEAD_DIM + half[None, :]
    slot = tl.load(slots + token)
    if slot < 0:
        zero = tl.zeros([HEADS, HALF], queries.dtype.element_ty)
        tl.store(query_at, zero, mask=is_query)
        tl.store(query_at + HALF, zero, mask=is_query)
        return

    position = tl.load(positions + token)
    exists = (head < Q_HEADS + 2 * KV_HEADS)[:, None]
    source = qkv + token.to(tl.int64) * qkv_stride + head[:, None] * HEAD_DIM + half[None, :]
    low = tl.load(source, mask=exists, other=0.0).to(tl.float32)
    high = tl.load(source + HALF, mask=exists, other=0.0).to(tl.float32)

    turns = (head < Q_HEADS + KV_HEADS)[:, None]
    c = tl.where(turns, tl.load(cos + position * HALF + half)[None, :], 1.0)
    s = tl.where(turns, tl.load(sin + position * HALF + half)[None, :], 0.0)
    new_low = low * c - high * s
    new_high = high * c + low * s
    tl.store(query_at, new_low.to(queries.dtype.element_ty), mask=is_query)
    tl.store(query_at + HALF, new_high.to(queries.dtype.element_ty), mask=is_query)

    # Keys are followed by values both in a row of qkv and in a page, so one index serves for both.
    lane = head - Q_HEADS
    cached = exists & (lane >= 0)[:, None]
    page = tl.load(page_table + slot * table_stride + position // PAGE).to(tl.int64)
    cell = (page * 2 * KV_HEADS + lane) * PAGE + position % PAGE
    page_at = pages + cell[:, None] * HEAD_DIM + half[None, :]
    if INT8:
        peak = tl.maximum(tl.max(tl.abs(new_low), 1), tl.max(tl.abs(new_high), 1))
        scale = (peak / 127.0).to(tl.float16)
        tl.store(scales + cell, scale, mask=(lane >= 0) & (head < Q_HEADS + 2 * KV_HEADS))
        step = scale.to(tl.float32)[:, None]
        divisor = tl.where(step > 0, step, 1.0)
        # A scale that underflows to zero can only give zeros back.
        low_steps = tl.where(step > 0, tl.floor(new_low / divisor + 0.5), 0.0)
        high_steps = tl.where(step > 0, tl.floor(new_high / divisor + 0.5), 0.0)
        low_steps = tl.minimum(tl.maximum(low_steps, -127.0), 127.0)
        high_steps = tl.minimum(tl.maximum(high_steps, -127.0), 127.0)
        tl.store(page_at, low_steps.to(tl.int8), mask=cached)
        tl.store(page_at + HALF, high_steps.to(tl.int8), mask=cached)
    else:
        tl.store(page_at, new_low.to(pages.dtype.element_ty), mask=cached)
        tl.store(page_at + HALF, new_high.to(pages.dtype.element_ty), mask=cached)

    if SINKS > 0:
        row = (slot.to(tl.int64) * 2 * KV_HEADS + lane) * SINKS + position
        sink_at = sinks + row[:, None] * HEAD_DIM + half[None, :]
        if position < SINKS:
            tl.store(sink_at, low.to(sinks.dtype.element_ty), mask=cached)
            tl.store(sink_at + HALF, high.to(sinks.dtype.element_ty), mask=cached)


def launch(qkv: Tensor, cache: PagedCache, rows: QueryRows, rope: RopeTable) -> Tensor:
    """`rope_append` with arguments already checked."""
    tokens, width = qkv.shape
    heads = width // cache.head_dim
    n_q = heads - 2 * cache.kv_heads
    queries = qkv.new_empty(tokens, n_q, cache.head_dim)
    _rope_append_kernel[(tokens, triton.cdiv(heads, _HEADS))](
        qkv,
        rope.cos,
        rope.sin,
        rows.positions,
        rows.slots,
        cache.page_table,
        cache.pages,
        cache.scales,
        cache.sinks,
        queries,
        qkv.stride(0),
        cache.page_table.stride(0),
        Q_HEADS=n_q,
        KV_HEADS=cache.kv_heads,
        HEAD_DIM=cache.head_dim,
        PAGE=cache.page_size,
        SINKS=cache.n_sinks,
        INT8=cache.scales is not None,
        HEADS=_HEADS,
        num_warps=_warps(cache.head_dim),
    )
    return queries


def _warps(head_dim: int) -> int:
    return 1 if head_dim <= 64 else 2


def configurations() -> list[Configuration]:
    """What must compile well: the default models' heads, with and without int8 and sinks."""
    return [
        _configuration("bf16", q_heads=9, kv_heads=3, head_dim=64),
        _configuration("bf16", q_heads=14, kv_heads=2, head_dim=64, sinks=4),
        _configuration("fp16", q_heads=8, kv_heads=1, head_dim=128, sinks=4),
        _configuration("bf16", q_heads=9, kv_heads=3, head_dim=64, sinks=4, int8=True),
        _configuration("bf16", q_heads=32, kv_heads=8, head_dim=128, int8=True),
    ]


def _configuration(
    dtype: str, q_heads: int, kv_heads: int, head_dim: int, sinks: int = 0, int8: bool = False
) -> Configuration:
    types = dict.fromkeys(("qkv", "queries"), f"*{dtype}")
    types |= dict.fromkeys(("positions", "slots", "page_table"), "*i32")
    types |= {"cos": "*fp32", "sin": "*fp32", "pages": "*i8" if int8 else f"*{dtype}"}
    types |= {"qkv_stride": "i32", "table_stride": "i32"}
    types |= {"scales": "*fp16"} if int8 else {}
    types |= {"sinks": f"*{dtype}"} if sinks else {}
    absent = {name: None for name in ("scales", "sinks") if name not in types}
    kept = f"{'int8' if int8 else dtype} cache{f', {sinks} sinks' if sinks else ''}"
    return Configuration(
        name=f"rope_append {dtype} {q_heads}:{kv_heads} dim {head_dim}, {kept}",
        kernel=_rope_append_kernel,
        types=types,
        constants=absent
        | {
            "Q_HEADS": q_heads,
            "KV_HEADS": kv_heads,
            "HEAD_DIM": head_dim,
            "PAGE": 16,
            "SINKS": sinks,
            "INT8": int8,
            "HEADS": _HEADS,
        },
        aligned=tuple(name for name in types if name != "table_stride"),
        warps=_warps(head_dim),
        max_registers=128,
    )
