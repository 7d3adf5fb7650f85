"""Backends of `paged_attention` that first copy the pages together: SDPA and flash-attn.

Nothing here waits for the device: shapes are those of the page table, not of the lengths.
"""

from importlib import import_module

import torch
from torch import Tensor
from torch.nn import functional

from duplex_kernels.errors import BackendUnavailable, DtypeError
from duplex_kernels.paged.cache import PagedCache, QueryRows
from duplex_kernels.rope_table import RopeTable, rotate

_FLASH_PAGE = 256


def sdpa(
    queries: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    rope: RopeTable | None,
    window: int,
    scale: float,
) -> Tensor:
    """`paged_attention` by `scaled_dot_product_attention` with a mask."""
    n_sinks = cache.n_sinks if window else 0
    position = _positions(cache, rows)
    visible = _visible(cache, position, window, n_sinks)
    q = _pad_left(queries, cache, rows)
    k, v = gather(cache, visible.any(dim=1), queries.dtype)
    if n_sinks and rope is not None and cache.sinks is not None:
        # Sinks stand at another place for each row, which one set of keys cannot say. To turn the
        # row's query back says the same; the two queries lie side by side, each key has zeros
        # where the other query is.
        behind = (position - window + 1 - n_sinks).clamp(min=0)
        back = rotate(q.float(), rope.cos[behind][:, :, None], -rope.sin[behind][:, :, None])
        sink = torch.arange(n_sinks, device=queries.device)
        empty = (sink >= cache.lengths[:, None])[:, None, None, :, None]
        sk, sv = cache.sinks.float().masked_fill(empty, 0).unbind(1)
        sk = rotate(sk, rope.cos[:n_sinks], rope.sin[:n_sinks])
        q = torch.cat([q, back.to(q.dtype)], dim=-1)
        k = torch.cat([_widen(k, after=True), _widen(sk.to(k.dtype), after=False)], dim=2)
        v = torch.cat([v, sv.to(v.dtype)], dim=2)
        visible = torch.cat([visible, sink <= position[:, :, None]], dim=-1)
    attended = functional.scaled_dot_product_attention(
        q.transpose(1, 2), k, v, attn_mask=visible[:, None], scale=scale, enable_gqa=True
    )
    return _unpad(attended.transpose(1, 2), cache, rows)


def flash_attn(
    queries: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    rope: RopeTable | None,
    window: int,
    scale: float,
) -> Tensor:
    """`paged_attention` by flash-attn 2: reads pages in place if their size is a multiple of 256,
    otherwise a copy. Raises BackendUnavailable for sinks, DtypeError for float32."""
    if window and cache.sinks is not None:
        raise BackendUnavailable("flash-attn has no attention sinks; choose triton or sdpa")
    if queries.dtype == torch.float32:
        raise DtypeError("flash-attn computes in float16 and bfloat16 only; choose triton or sdpa")
    # Untyped and seldom installed: looked up by name.
    flash = import_module("flash_attn")
    if cache.page_size % _FLASH_PAGE == 0 and cache.scales is None:
        table: Tensor | None = cache.page_table
        k, v = (cache.pages[:, i].transpose(1, 2) for i in (0, 1))
    else:
        table = None
        read = _visible(cache, _positions(cache, rows), window, 0).any(dim=1)
        k, v = (t.transpose(1, 2) for t in gather(cache, read, queries.dtype))
    attended: Tensor = flash.flash_attn_with_kvcache(
        _pad_left(queries, cache, rows),
        k,
        v,
        cache_seqlens=cache.lengths,
        block_table=table,
        softmax_scale=scale,
        causal=True,
        window_size=(window - 1, 0) if window else (-1, -1),
    )
    return _unpad(attended, cache, rows)


def _positions(cache: PagedCache, rows: QueryRows) -> Tensor:
    """Positions [slots, max_query] of queries padded on the left; -1 where none is."""
    back = torch.arange(rows.max_query, 0, -1, device=cache.lengths.device)
    return torch.where(back <= rows.starts.diff()[:, None], cache.lengths[:, None] - back, -1)


def _visible(cache: PagedCache, position: Tensor, window: int, n_sinks: int) -> Tensor:
    """Which keys a query sees in pages: [slots, max_query, capacity]."""
    key = torch.arange(cache.capacity, device=position.device)
    visible = key <= position[:, :, None]
    if window:
        visible &= (key > position[:, :, None] - window) & (key >= n_sinks)
    return visible


def _places(cache: PagedCache, rows: QueryRows) -> Tensor:
    """Where each token is in [slots * max_query + 1]; padding shares the last place."""
    owner = rows.slots.clamp(min=0)
    column = rows.max_query - (cache.lengths[owner] - rows.positions)
    spare = cache.slots * rows.max_query
    return torch.where(rows.slots >= 0, owner * rows.max_query + column, spare)


def _pad_left(queries: Tensor, cache: PagedCache, rows: QueryRows) -> Tensor:
    """[slots, max_query, q_heads, head_dim]: a slot's last token in the last column, because both
    libraries align a causal mask at the end."""
    padded = queries.new_zeros(cache.slots * rows.max_query + 1, *queries.shape[1:])
    padded[_places(cache, rows)] = queries
    return padded[:-1].unflatten(0, (cache.slots, rows.max_query))


def _unpad(padded: Tensor, cache: PagedCache, rows: QueryRows) -> Tensor:
    """The tokens of [slots, max_query, q_heads, head_dim] in their order, zero for padding."""
    flat = functional.pad(padded.flatten(0, 1), (0, 0, 0, 0, 0, 1))
    return flat[_places(cache, rows)]


def gather(cache: PagedCache, read: Tensor, dtype: torch.dtype) -> Tensor:
    """Keys and values [2, slots, kv_heads, capacity, head_dim]; zero where not `read`.

    Entries of the page table for positions that are not read may hold anything, and a page may
    hold anything behind the length, NaN included, which a mask alone would let through.
    """
    key = torch.arange(cache.capacity, device=read.device)
    page = torch.where(read, cache.page_table[:, key // cache.page_size], 0).long()
    cells = cache.pages[page, :, :, key % cache.page_size].to(dtype)
    if cache.scales is not None:
        cells = cells * cache.scales[page, :, :, key % cache.page_size, None].to(dtype)
    return cells.masked_fill(~read[:, :, None, None, None], 0).permute(2, 0, 3, 1, 4)


def _widen(x: Tensor, *, after: bool) -> Tensor:
    """Double the last dimension with zeros behind or in front."""
    width = x.shape[-1]
    return functional.pad(x, (0, width) if after else (width, 0))
