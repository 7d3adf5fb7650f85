"""RoPE with append against the same in PyTorch, for decode steps of two model shapes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from duplex_kernels import rope_append
from duplex_kernels.bench.case import Case, Run, Setting
from duplex_kernels.paged.cache import PagedCache, query_rows
from duplex_kernels.rope_table import rope_table, rotate

_PAGE = 16


def cases(setting: Setting) -> Iterator[Case]:
    """One new token in each of 1, 64 and 256 conversations; the cache as it is and in int8."""
    shapes = [(3, 1, 32)] if setting.small else [(9, 3, 64), (14, 2, 64)]
    for q_heads, kv_heads, head_dim in shapes:
        for batch in (2,) if setting.small else (1, 64, 256):
            for int8 in (False, True):
                yield _case(setting, batch, q_heads, kv_heads, head_dim, int8)


def _case(
    setting: Setting, batch: int, q_heads: int, kv_heads: int, head_dim: int, int8: bool
) -> Case:
    device, dtype = setting.device, setting.dtype
    width = 2 if setting.small else 64
    shape = (batch * width, 2, kv_heads, _PAGE, head_dim)
    table = torch.randperm(batch * width, device=device).int().view(batch, width)
    lengths = torch.randint(1, width * _PAGE, (batch,), device=device, dtype=torch.int32)
    cache = PagedCache(
        pages=torch.zeros(shape, device=device, dtype=torch.int8 if int8 else dtype),
        page_table=table,
        lengths=lengths,
        scales=torch.zeros(shape[:4], device=device, dtype=torch.float16) if int8 else None,
    )
    starts = torch.arange(batch + 1, device=device, dtype=torch.int32)
    rows = query_rows(starts, lengths, batch, max_query=1)
    rope = rope_table(width * _PAGE, head_dim, device=device)
    width_in = (q_heads + 2 * kv_heads) * head_dim
    sets = setting.sets(batch * width_in * dtype.itemsize)
    qkv = torch.randn(sets, batch, width_in, device=device).to(dtype)

    def check() -> float:
        queries = rope_append.triton(qkv[0], cache, rows, rope)
        stored = cache.pages.float()
        if cache.scales is not None:
            stored *= cache.scales[..., None].float()
        exact = PagedCache(torch.zeros(shape, device=device), table, lengths)
        wanted = rope_append.reference(qkv[0].float(), exact, rows, rope)
        errors = [(queries - wanted).abs().max(), (stored - exact.pages).abs().max()]
        return float(max(errors) / exact.pages.abs().max())

    def plain(qkv: Tensor) -> Tensor:
        heads = qkv.view(batch, -1, head_dim)
        position = rows.positions.long()
        cos, sin = (t[position][:, None].to(dtype) for t in (rope.cos, rope.sin))
        turned = rotate(heads[:, : q_heads + kv_heads], cos, sin)
        new = torch.stack([turned[:, q_heads:], heads[:, q_heads + kv_heads :]], dim=1)
        page = table[rows.slots.long(), position // _PAGE].long()
        cache.pages[page, :, :, position % _PAGE] = new
        return turned[:, :q_heads]

    peers: dict[str, Run] = {} if int8 else {"PyTorch": lambda i: plain(qkv[i])}
    if not int8 and not setting.small:
        torch._dynamo.reset()
        compiled = torch.compile(plain, dynamic=False)
        peers["torch.compile"] = lambda i: compiled(qkv[i])
    kept = 2 * kv_heads * (head_dim + 2 if int8 else head_dim * dtype.itemsize)
    moved = (width_in + q_heads * head_dim) * dtype.itemsize + kept + head_dim * 4
    return Case(
        table="rope_append",
        shape=f"batch {batch}, {q_heads}:{kv_heads} x {head_dim}{', int8' if int8 else ''}",
        ours=lambda i: rope_append.triton(qkv[i], cache, rows, rope),
        sets=sets,
        moved=batch * moved,
        operations=0,
        check=check,
        # One rounding to bfloat16, or half a step of 1/127, of the largest value.
        tolerance=1e-2,
        peers=peers,
    )
