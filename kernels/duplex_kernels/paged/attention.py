"""Attention of 1 to 16 new tokens in each conversation to its cache: decode and chunk are one.

Conversations are ragged both in length and in new tokens. A token at position p sees the positions
up to p; with a window only the last `window` of them, and the cache's sinks. Sinks keep the places
just before the window, as if the tokens between had never been (Xiao et al., «Efficient streaming
language models with attention sinks»), so an endless call never leaves the distances that the model
knows. A chunk of tokens gives what the tokens give one by one.
"""

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import (
    BACKENDS,
    refuse_bfloat16_in_interpreter,
    resolve,
    same_device,
)
from duplex_kernels.configuration import Configuration
from duplex_kernels.errors import KernelError, PageTableError, ShapeError
from duplex_kernels.paged.cache import PagedCache, QueryRows, check_capturable, check_contents
from duplex_kernels.rope_table import RopeTable, rotate

SPLIT_TOKENS = 256
"""Positions that one program reads. The last bits of a result depend on it, on nothing else."""

MAX_GROUP = 8
"""Most query heads that may share a key-value head."""


def reference(
    queries: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    rope: RopeTable | None,
    window: int,
    scale: float,
) -> Tensor:
    """`paged_attention` in plain PyTorch, slot by slot; float64 for float64, otherwise float32."""
    wide = torch.promote_types(queries.dtype, torch.float32)
    attended = torch.zeros_like(queries, dtype=wide)
    starts = rows.starts.tolist()
    for slot, length in enumerate(cache.lengths.tolist()):
        own = slice(starts[slot], starts[slot + 1])
        if own.start == own.stop:
            continue
        q = queries[own].to(wide).transpose(0, 1)
        position = torch.arange(length - q.shape[1], length, device=q.device)
        n_sinks = cache.n_sinks if window else 0
        first = max(int(position[0]) - window + 1, n_sinks) if window else 0
        key = torch.arange(min(first, length), length, device=q.device)
        page = cache.page_table[slot, key // cache.page_size].long()
        kv = cache.pages[page, :, :, key % cache.page_size].to(wide)
        if cache.scales is not None:
            kv *= cache.scales[page, :, :, key % cache.page_size, None].to(wide)
        group = queries.shape[1] // cache.kv_heads
        k, v = kv.permute(1, 2, 0, 3).repeat_interleave(group, dim=1)
        scores = q @ k.mT
        visible = key <= position[:, None]
        if window:
            visible &= key > position[:, None] - window
        if n_sinks and rope is not None and cache.sinks is not None:
            sink = torch.arange(min(n_sinks, length), device=q.device)
            sk, sv = cache.sinks[slot, :, :, : len(sink)].to(wide).repeat_interleave(group, dim=1)
            place = sink + (position[:, None] - window + 1 - n_sinks).clamp(min=0)
            moved = rotate(sk[:, None], rope.cos[place].to(wide), rope.sin[place].to(wide))
            scores = torch.cat([(q[:, :, None] * moved).sum(-1), scores], dim=-1)
            visible = torch.cat([sink <= position[:, None], visible], dim=-1)
            v = torch.cat([sv, v], dim=1)
        weights = (scores * scale).masked_fill(~visible, float("-inf")).softmax(dim=-1)
        attended[own] = (weights @ v).transpose(0, 1)
    return attended.to(queries.dtype)


def triton(
    queries: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    rope: RopeTable | None,
    window: int,
    scale: float,
    split_tokens: int = SPLIT_TOKENS,
) -> Tensor:
    """`paged_attention` as two kernels."""
    from duplex_kernels.paged.attention_triton import launch

    refuse_bfloat16_in_interpreter(queries)
    with torch.cuda.device_of(queries):
        return launch(queries, cache, rows, rope, window, scale, split_tokens)


def paged_attention(
    queries: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    *,
    window: int = 0,
    rope: RopeTable | None = None,
    scale: float | None = None,
    split_tokens: int = SPLIT_TOKENS,
    backend: str | None = None,
    check_pages: bool = True,
) -> Tensor:
    """Attention of rotated `queries` [tokens, q_heads, head_dim] to `cache`, in their type.

    The tokens' own keys and values must be in the cache (`rope_append`). Result of the same shape,
    zero for padding.

    window: positions that a token sees, itself included; 0 for all. Pages in front of it are not
        read. With a window and `cache.sinks`, the sinks are seen too and `rope` is needed: the
        table that `rope_append` had, with a row for every position.
    scale: of the scores; 1 / sqrt(head_dim) unless given.
    split_tokens: positions for one program of the Triton backend, a power of two from 16. Fixed by
        the engine: a result depends on it, and never on the other slots of a step.
    backend: triton, sdpa, flash_attn (no sinks) or reference; see `backend`.
    check_pages: verify lengths, positions and page numbers, which waits for the device; passed over
        while a CUDA graph is captured. Without it a wrong page number reads foreign memory.

    Raises a KernelError subclass before anything is launched.
    """
    checks.floats(queries=queries)
    cache.check(queries.dtype)
    device = same_device(queries=queries, pages=cache.pages)
    if queries.ndim != 3 or queries.shape[2] != cache.head_dim or queries.shape[1] < 1:
        raise ShapeError(
            f"queries must be [tokens, q_heads, {cache.head_dim}], not {list(queries.shape)}"
        )
    group, rest = divmod(queries.shape[1], cache.kv_heads)
    if rest or not 1 <= group <= MAX_GROUP:
        raise ShapeError(
            f"{queries.shape[1]} query heads for {cache.kv_heads} key-value heads: a whole number "
            f"of 1 to {MAX_GROUP} must share each"
        )
    checks.contiguous(queries=queries)
    rows.check(cache, queries.shape[0])
    if window < 0:
        raise ShapeError(f"window must be 0 (everything) or a number of positions, not {window}")
    if split_tokens < 16 or split_tokens & (split_tokens - 1):
        raise ShapeError(f"split_tokens must be a power of two from 16, not {split_tokens}")
    if window and cache.sinks is not None:
        if rope is None:
            raise KernelError("sinks are rotated here: pass rope, the table of rope_append")
        rope.check(cache)
    chosen = resolve(backend, device, BACKENDS)
    if check_capturable(check_pages):
        check_contents(cache, rows, reach=window - 1 if window else None)
        if rope is not None and int(rows.positions.max()) >= rope.cos.shape[0]:
            raise PageTableError(
                f"position {int(rows.positions.max())} has no row in a rope table of "
                f"{rope.cos.shape[0]}"
            )
    scale = cache.head_dim**-0.5 if scale is None else scale
    if chosen == "triton":
        return triton(queries, cache, rows, rope, window, scale, split_tokens)
    if chosen == "reference":
        return reference(queries, cache, rows, rope, window, scale)
    from duplex_kernels.paged import attention_dense as dense

    operation = dense.sdpa if chosen == "sdpa" else dense.flash_attn
    return operation(queries, cache, rows, rope, window, scale)


def configurations() -> list[Configuration]:
    """Variants that must compile well."""
    from duplex_kernels.paged.attention_configurations import configurations as declared

    return declared()
