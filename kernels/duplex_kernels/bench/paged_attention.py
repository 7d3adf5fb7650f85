"""Paged attention for decode steps and chunks, against what else can attend to a cache.

Peers that cannot read pages get a contiguous cache for nothing: copying it together is not timed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from duplex_kernels.bench.attention_peers import Problem, peers
from duplex_kernels.bench.case import Case, Setting
from duplex_kernels.paged import attention as paged_attention
from duplex_kernels.paged.cache import PagedCache, query_rows
from duplex_kernels.rope_table import rope_table

_PAGE = 16


@dataclass(frozen=True)
class Shape:
    """A step: `batch` conversations of `shortest` to `longest` tokens, evenly spread."""

    batch: int
    longest: int
    shortest: int = 0
    queries: int = 1
    q_heads: int = 9
    kv_heads: int = 3
    head_dim: int = 64
    window: int = 0
    sinks: int = 0
    int8: bool = False
    split_tokens: int = paged_attention.SPLIT_TOKENS
    tile: tuple[int, int, int] | None = None
    table: str = "paged_attention"
    capacity: int = 0
    """Tokens that the page table can hold; what fits the longest unless given."""

    @property
    def title(self) -> str:
        """The shape in words."""
        context = f"{self.shortest}-{self.longest}" if self.shortest else str(self.longest)
        parts = [
            f"batch {self.batch}, context {context}, {self.q_heads}:{self.kv_heads}",
            f"{self.queries} queries" if self.queries > 1 else "",
            f"window {self.window} + {self.sinks}" if self.window else "",
            "int8" if self.int8 else "",
            f"{self.split_tokens} a split" if "split" in self.table else "",
            "tile {}, {} warps, {} stages".format(*self.tile) if self.tile else "",
            f"room for {self.capacity}" if self.capacity else "",
        ]
        return ", ".join(part for part in parts if part)


def cases(setting: Setting) -> Iterator[Case]:
    """Decode at equal and ragged lengths, chunks, windows, int8, and the size of a split."""
    for shape in _SMALL if setting.small else _SHAPES:
        yield _case(setting, shape)


_SMALL = (
    Shape(2, 24, 9, q_heads=2, kv_heads=1, head_dim=32),
    Shape(1, 24, queries=2, q_heads=2, kv_heads=1, head_dim=32, window=8, sinks=2, int8=True),
)

_SHAPES = (
    *(Shape(1, context) for context in (256, 1024, 2048, 4096)),
    *(Shape(batch, context) for batch in (16, 64, 256) for context in (256, 1024, 4096)),
    *(Shape(batch, 4096, 1024) for batch in (64, 256)),
    *(Shape(batch, 4096, 1024, q_heads=14, kv_heads=2) for batch in (64, 256)),
    Shape(1, 2048, q_heads=14, kv_heads=2),
    *(Shape(batch, 4096, 1024, int8=True) for batch in (64, 256)),
    *(Shape(batch, 4096, window=1024, sinks=4) for batch in (1, 64, 256)),
    # A static grid for long calls must not cost a short one.
    Shape(64, 1024, capacity=16384),
    *(
        Shape(batch, context, queries=queries, table="paged_attention, chunks")
        for batch, context in ((1, 2048), (64, 2048), (256, 2048))
        for queries in (1, 2, 4, 5, 16)
    ),
    *(
        Shape(batch, 2048, split_tokens=size, table="paged_attention, size of a split")
        for batch in (1, 16, 256)
        for size in (64, 128, 256, 512)
    ),
    *(
        Shape(batch, 2048, tile=tile, table="paged_attention, tile")
        for batch in (1, 16, 256)
        for tile in ((32, 2, 5), (64, 4, 3), (64, 4, 5), (64, 4, 7), (128, 4, 2), (128, 8, 5))
    ),
)


def problem(setting: Setting, shape: Shape) -> Problem:
    """Random caches and queries, as many as exceed the L2 cache together."""
    device, dtype = setting.device, setting.dtype
    spread = torch.linspace(shape.shortest or shape.longest, shape.longest, shape.batch)
    # Shuffled: neighbouring programs should not have neighbouring lengths.
    lengths = spread[torch.randperm(shape.batch)].round().int().to(device)
    width = -(-max(shape.longest, shape.capacity) // _PAGE)
    used = -(-shape.longest // _PAGE)
    shuffled = torch.randperm(shape.batch * used, device=device).int().view(shape.batch, used)
    table = torch.nn.functional.pad(shuffled, (0, width - used)).contiguous()
    starts = torch.arange(shape.batch + 1, device=device, dtype=torch.int32) * shape.queries
    rows = query_rows(starts, lengths, shape.batch * shape.queries, shape.queries)
    size = 1 if shape.int8 else dtype.itemsize
    cells = (shape.batch * used, 2, shape.kv_heads, _PAGE)
    sets = setting.sets(shape.batch * used * _PAGE * 2 * shape.kv_heads * shape.head_dim * size)

    def cache() -> PagedCache:
        pages = torch.randn(*cells, shape.head_dim, device=device, dtype=dtype)
        scales = None
        if shape.int8:
            pages = (40 * pages.float()).round().clamp(-127, 127).to(torch.int8)
            scales = torch.rand(cells, device=device).mul(0.02).add(0.02).half()
        return PagedCache(pages, table, lengths, scales)

    caches = [cache() for _ in range(sets)]
    if shape.sinks:
        kept = (shape.batch, 2, shape.kv_heads, shape.sinks, shape.head_dim)
        caches = [
            replace(one, sinks=torch.randn(kept, device=device, dtype=dtype)) for one in caches
        ]
    tokens = shape.batch * shape.queries
    queries = torch.randn(sets, tokens, shape.q_heads, shape.head_dim, device=device, dtype=dtype)
    return Problem(queries, caches, rows, shape.window)


def _case(setting: Setting, shape: Shape) -> Case:
    from duplex_kernels.paged.attention_triton import launch

    work = problem(setting, shape)
    rope = rope_table(work.caches[0].capacity, shape.head_dim, device=setting.device)
    scale = shape.head_dim**-0.5

    def ours(number: int) -> torch.Tensor:
        return launch(
            work.queries[number],
            work.caches[number],
            work.rows,
            rope,
            shape.window,
            scale,
            shape.split_tokens,
            shape.tile,
        )

    def check() -> float:
        exact = paged_attention.reference(
            work.queries[0].double(),
            work.caches[0].to(torch.float64),
            work.rows,
            rope,
            shape.window,
            scale,
        )
        return float((ours(0) - exact).abs().max() / exact.abs().max())

    lengths = work.caches[0].lengths.long()
    read = lengths.clamp(max=shape.window + shape.queries - 1) if shape.window else lengths
    seen = int(read.sum()) + shape.batch * shape.sinks
    row = (
        2
        * shape.kv_heads
        * (shape.head_dim + 2 if shape.int8 else shape.head_dim * setting.dtype.itemsize)
    )
    rivals, missing = peers(work, setting) if shape.table == "paged_attention" else ({}, {})
    return Case(
        table=shape.table,
        shape=shape.title,
        ours=ours,
        sets=len(work.caches),
        moved=seen * row + 2 * work.queries[0].numel() * setting.dtype.itemsize,
        operations=4 * seen * shape.queries * shape.q_heads * shape.head_dim,
        check=check,
        # bfloat16 keeps 8 bits of a weight and of the result.
        tolerance=1e-5 if setting.small else 2e-2,
        peers=rivals,
        missing=missing,
    )
