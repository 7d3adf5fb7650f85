"""What else attends to a cache: SDPA in every backend, FlexAttention, flash-attn, FlashInfer."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from duplex_kernels.bench.case import Run, Setting
from duplex_kernels.paged.attention_dense import gather
from duplex_kernels.paged.cache import PagedCache, QueryRows

_SDPA = {
    "SDPA flash": SDPBackend.FLASH_ATTENTION,
    "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION,
    "SDPA efficient": SDPBackend.EFFICIENT_ATTENTION,
    "SDPA math": SDPBackend.MATH,
}


@dataclass(frozen=True)
class Problem:
    """Buffer sets of one shape: queries [sets, tokens, q_heads, head_dim], a cache for each set,
    and rows in which every slot has the same number of tokens."""

    queries: Tensor
    caches: list[PagedCache]
    rows: QueryRows
    window: int

    @property
    def grid(self) -> tuple[int, int, int, int, int]:
        """Slots, tokens each, key-value heads, query heads for each, head_dim."""
        cache = self.caches[0]
        _, tokens, q_heads, head_dim = self.queries.shape
        group = q_heads // cache.kv_heads
        return cache.slots, tokens // cache.slots, cache.kv_heads, group, head_dim

    @property
    def equal(self) -> bool:
        """Whether every conversation fills the cache with its one query last: no mask is needed."""
        lengths = self.caches[0].lengths
        return bool((lengths == self.caches[0].capacity).all()) and self.grid[1] == 1


def peers(work: Problem, setting: Setting) -> tuple[dict[str, Run], dict[str, str]]:
    """Runs by name, and the peers that cannot take part with the reason."""
    cache = work.caches[0]
    if cache.scales is not None or work.window or cache.sinks is not None:
        return {}, {
            "peers": "none has int8 with a scale for each token, or sinks outside the cache"
        }
    if work.equal or cache.capacity <= int(cache.lengths.max()) + cache.page_size:
        dense = [contiguous(one, work.queries.dtype) for one in work.caches]
    else:
        return {}, {"peers": "a page table with spare room is compared with our own tight one"}
    runs, missing = _sdpa(work, dense, setting), dict[str, str]()
    if not setting.small:
        runs["FlexAttention"] = flex(work, dense)
    for name, package, build in (
        ("flash-attn", "flash_attn", _flash_attn),
        ("FlashInfer", "flashinfer", _flashinfer),
    ):
        if setting.small or find_spec(package) is None:
            missing[name] = "not installed" if find_spec(package) is None else "no GPU"
            continue
        try:
            runs[name] = build(work, dense)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    return runs, missing


def contiguous(cache: PagedCache, dtype: torch.dtype) -> Tensor:
    """[2, slots, kv_heads, capacity, head_dim], contiguous."""
    key = torch.arange(cache.capacity, device=cache.lengths.device)
    return gather(cache, key < cache.lengths[:, None], dtype).contiguous()


def _visible(work: Problem) -> Tensor:
    """[slots, tokens, capacity]."""
    slots, tokens, *_ = work.grid
    key = torch.arange(work.caches[0].capacity, device=work.queries.device)
    return key <= work.rows.positions.view(slots, tokens, 1)


def _sdpa(work: Problem, dense: list[Tensor], setting: Setting) -> dict[str, Run]:
    """The query heads of a group become rows of one head: no backend has to repeat keys."""
    slots, tokens, kv_heads, group, dim = work.grid
    mask = None
    if not work.equal:
        mask = _visible(work)[:, None, :, None].expand(-1, kv_heads, -1, group, -1).flatten(2, 3)
    folded = [
        q.view(slots, tokens, kv_heads, group, dim).transpose(1, 2).flatten(2, 3)
        for q in work.queries
    ]

    def bind(backend: SDPBackend) -> Run:
        def run(number: int) -> Tensor:
            k, v = dense[number]
            with sdpa_kernel([backend]):
                return functional.scaled_dot_product_attention(folded[number], k, v, attn_mask=mask)

        return run

    chosen = {"SDPA math": SDPBackend.MATH} if setting.small else _SDPA
    return {name: bind(backend) for name, backend in chosen.items()}


def flex(work: Problem, dense: list[Tensor]) -> Run:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    slots, tokens, *_ = work.grid
    positions = work.rows.positions.view(slots, tokens)

    def causal(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return k <= positions[b, q]

    device = str(work.queries.device)
    mask = create_block_mask(causal, slots, None, tokens, work.caches[0].capacity, device=device)
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    queries = [q.unflatten(0, (slots, tokens)).transpose(1, 2) for q in work.queries]

    def run(number: int) -> object:
        k, v = dense[number]
        return compiled(queries[number], k, v, block_mask=mask, enable_gqa=True)

    return run


def _flash_attn(work: Problem, dense: list[Tensor]) -> Run:
    flash = import_module("flash_attn")
    slots, tokens, *_ = work.grid
    # Its own layout, made beforehand: tokens before heads.
    caches = [one.transpose(2, 3).contiguous() for one in dense]
    queries = [q.unflatten(0, (slots, tokens)) for q in work.queries]
    lengths = work.caches[0].lengths

    def run(number: int) -> object:
        k, v = caches[number]
        return flash.flash_attn_with_kvcache(
            queries[number], k, v, cache_seqlens=lengths, causal=True
        )

    return run


def _flashinfer(work: Problem, _: list[Tensor]) -> Run:
    """Reads the same pages as ours: its layout «HND» is ours."""
    flashinfer = import_module("flashinfer")
    tokens, kv_heads, group, dim = work.grid[1:]
    cache = work.caches[0]
    pages = -(-cache.lengths // cache.page_size)
    ends = functional.pad(pages.cumsum(0), (1, 0)).int()
    used = torch.arange(cache.page_table.shape[1], device=pages.device) < pages[:, None]
    buffer = torch.empty(128 << 20, dtype=torch.uint8, device=pages.device)
    last = ((cache.lengths - 1) % cache.page_size + 1).int()
    shape = (kv_heads * group, kv_heads, dim, cache.page_size)
    dtypes = {"q_data_type": work.queries.dtype, "kv_data_type": work.queries.dtype}
    if tokens == 1:
        wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(
            buffer, "HND", use_tensor_cores=True
        )
        wrapper.plan(ends, cache.page_table[used], last, *shape, **dtypes)
    else:
        wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(buffer, "HND")
        wrapper.plan(
            work.rows.starts, ends, cache.page_table[used], last, *shape, causal=True, **dtypes
        )
    return lambda number: wrapper.run(work.queries[number], work.caches[number].pages)
