"""Rotate queries and keys, split the fused projection, and append keys and values to the cache."""

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import (
    Backend,
    refuse_bfloat16_in_interpreter,
    resolve,
    same_device,
)
from duplex_kernels.configuration import Configuration
from duplex_kernels.errors import LayoutError, PageTableError, ShapeError
from duplex_kernels.paged.cache import PagedCache, QueryRows, check_capturable, check_contents
from duplex_kernels.rope_table import RopeTable, rotate

SUPPORTED: tuple[Backend, ...] = ("triton", "reference")


def quantize(x: Tensor) -> tuple[Tensor, Tensor]:
    """int8 values and float16 scales of rows [..., head_dim]: x is about values * scale.

    Rounds half up, as a kernel can on every device.
    """
    scale = (x.abs().amax(dim=-1) / 127).half()
    steps = scale.to(x.dtype)[..., None]
    values = torch.where(steps > 0, x / steps, torch.zeros_like(x))
    return (values + 0.5).floor().clamp(-127, 127).to(torch.int8), scale


def reference(qkv: Tensor, cache: PagedCache, rows: QueryRows, rope: RopeTable) -> Tensor:
    """`rope_append` in plain PyTorch, rotating in float32."""
    tokens, (n_kv, dim) = qkv.shape[0], (cache.kv_heads, cache.head_dim)
    heads = qkv.view(tokens, -1, dim)
    n_q = heads.shape[1] - 2 * n_kv
    position = rows.positions.long()
    wide = heads.float()
    turned = rotate(wide[:, : n_q + n_kv], rope.cos[position][:, None], rope.sin[position][:, None])
    active = rows.slots >= 0
    queries = turned[:, :n_q].to(qkv.dtype).masked_fill(~active[:, None, None], 0)
    slot, position = rows.slots[active].long(), position[active]
    page = cache.page_table[slot, position // cache.page_size].long()
    cell = position % cache.page_size
    new = torch.stack([turned[:, n_q:], wide[:, n_q + n_kv :]], dim=1)[active]
    if cache.scales is not None:
        values, scales = quantize(new)
        cache.pages[page, :, :, cell] = values
        cache.scales[page, :, :, cell] = scales
    else:
        cache.pages[page, :, :, cell] = new.to(cache.pages.dtype)
    if cache.sinks is not None:
        first = position < cache.n_sinks
        raw = heads[:, n_q:].unflatten(1, (2, n_kv))[active]
        cache.sinks[slot[first], :, :, position[first]] = raw[first]
    return queries


def triton(qkv: Tensor, cache: PagedCache, rows: QueryRows, rope: RopeTable) -> Tensor:
    """`rope_append` as one kernel."""
    from duplex_kernels.rope_append_triton import launch

    refuse_bfloat16_in_interpreter(qkv)
    with torch.cuda.device_of(qkv):
        return launch(qkv, cache, rows, rope)


def rope_append(
    qkv: Tensor,
    cache: PagedCache,
    rows: QueryRows,
    rope: RopeTable,
    *,
    backend: str | None = None,
    check_pages: bool = True,
) -> Tensor:
    """Split a fused projection, rotate, write keys and values at the rows' positions.

    qkv: [tokens, (q_heads + 2 * kv_heads) * head_dim], heads of queries, keys, values in this
    order; float32, float16 or bfloat16; rows may have any stride. Keys and values go into `cache`
    in place (quantized if its pages are int8; the first `n_sinks` also as they are into `sinks`);
    `lengths` must already count them. Returns the rotated queries [tokens, q_heads, head_dim] in
    the type of `qkv`, zero for padding.

    `check_pages` verifies lengths, positions and page numbers, which waits for the device; it is
    passed over while a CUDA graph is captured. Without it a wrong page number corrupts memory.
    Raises a KernelError subclass before anything is written.
    """
    checks.floats(qkv=qkv)
    cache.check(qkv.dtype)
    device = same_device(qkv=qkv, pages=cache.pages)
    heads = qkv.shape[1] // cache.head_dim if qkv.ndim == 2 else 0
    if heads <= 2 * cache.kv_heads or heads * cache.head_dim != qkv.shape[1]:
        raise ShapeError(
            f"qkv must be [tokens, (q_heads + 2 * {cache.kv_heads}) * {cache.head_dim}], "
            f"not {tuple(qkv.shape)}"
        )
    if qkv.stride(1) != 1:
        raise LayoutError(f"a row of qkv must be contiguous; strides {qkv.stride()}")
    rows.check(cache, qkv.shape[0])
    rope.check(cache)
    chosen = resolve(backend, device, SUPPORTED)
    if check_capturable(check_pages):
        check_contents(cache, rows, reach=0)
        if int(rows.positions.max()) >= rope.cos.shape[0]:
            raise PageTableError(
                f"position {int(rows.positions.max())} has no row in a rope table of "
                f"{rope.cos.shape[0]}"
            )
    return (triton if chosen == "triton" else reference)(qkv, cache, rows, rope)


def configurations() -> list[Configuration]:
    """Variants that must compile well."""
    from duplex_kernels.rope_append_triton import configurations as declared

    return declared()
