"""Conversations with a paged cache, and what their attention must be.

The expectation shares no code with the package: it keeps every key unrotated, rotates by complex
numbers and asks SDPA in float32 about the visible positions of one token at a time. Every cell of
the cache starts as NaN and every unused entry of the page table is out of range, so that whatever
is read by mistake shows.
"""

from collections.abc import Sequence

import torch
from duplex_kernels.paged.attention import paged_attention
from duplex_kernels.paged.cache import PagedCache, QueryRows, query_rows
from duplex_kernels.rope_append import rope_append
from duplex_kernels.rope_table import rope_table
from torch import Tensor
from torch.nn import functional

PADDING = 2
"""Tokens at the end of every step that belong to nobody."""


class Conversations:
    """`slots` conversations that take random tokens; one seed for each slot, so that a slot's
    tokens do not depend on the others."""

    def __init__(
        self,
        slots: int = 1,
        *,
        q_heads: int = 6,
        kv_heads: int = 2,
        head_dim: int = 32,
        page_size: int = 8,
        width: int = 8,
        window: int = 0,
        sinks: int = 0,
        int8: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        first_seed: int = 0,
        max_query: int = 16,
        split_tokens: int = 16,
    ) -> None:
        self.q_heads, self.kv_heads, self.head_dim = q_heads, kv_heads, head_dim
        self.window, self.dtype, self.device = window, dtype, device
        self.max_query, self.split_tokens = max_query, split_tokens
        self.random = [torch.Generator().manual_seed(first_seed + slot) for slot in range(slots)]
        n_pages = slots * width + 3
        order = torch.randperm(n_pages, generator=torch.Generator().manual_seed(7))
        shape = (n_pages, 2, kv_heads, page_size, head_dim)
        nan = float("nan")
        pages = torch.full(shape, 0 if int8 else nan, dtype=torch.int8 if int8 else dtype)
        self.cache = PagedCache(
            pages=pages.to(device),
            page_table=order[: slots * width].reshape(slots, width).int().to(device),
            lengths=torch.zeros(slots, dtype=torch.int32, device=device),
            scales=torch.full(shape[:4], nan).half().to(device) if int8 else None,
            sinks=torch.full((slots, 2, kv_heads, sinks, head_dim), nan).to(device, dtype)
            if sinks
            else None,
        )
        self.rope = rope_table(width * page_size + 1, head_dim, device=device)
        empty = torch.zeros(0, 2, kv_heads, head_dim)
        self.history = [empty] * slots

    def rows(self, counts: Sequence[int]) -> QueryRows:
        """Raise the lengths by `counts` and give the step's rows."""
        new = torch.tensor(counts, dtype=torch.int32, device=self.device)
        self.cache.lengths.add_(new)
        starts = functional.pad(new.cumsum(0), (1, 0)).int()
        return query_rows(starts, self.cache.lengths, sum(counts) + PADDING, self.max_query)

    def tokens(self, counts: Sequence[int]) -> Tensor:
        """Random rows of a fused projection; their keys and values go into the history."""
        heads = self.q_heads + 2 * self.kv_heads
        parts = []
        for slot, count in enumerate(counts):
            new = torch.randn(count, heads, self.head_dim, generator=self.random[slot])
            new = new.to(self.dtype).float()
            kv = new[:, self.q_heads :].unflatten(1, (2, self.kv_heads))
            self.history[slot] = torch.cat([self.history[slot], kv])
            parts.append(new)
        parts.append(torch.full((PADDING, heads, self.head_dim), float("nan")))
        return torch.cat(parts).flatten(1).to(self.device, self.dtype)

    def append(self, counts: Sequence[int], backend: str = "reference") -> tuple[Tensor, QueryRows]:
        """Append random tokens; the rotated queries and the rows of the step."""
        self.projected = self.tokens(counts)
        rows = self.rows(counts)
        return rope_append(self.projected, self.cache, rows, self.rope, backend=backend), rows

    def grow_to(self, lengths: Sequence[int]) -> None:
        """Append until the conversations have these lengths."""
        while any(
            counts := [
                min(self.max_query, wanted - now)
                for wanted, now in zip(lengths, self.cache.lengths.tolist(), strict=True)
            ]
        ):
            self.append(counts)

    def step(self, counts: Sequence[int], backend: str = "triton") -> Tensor:
        """Append random tokens and attend: [tokens + PADDING, q_heads, head_dim]."""
        has_kernel = backend == "triton"
        queries, rows = self.append(counts, "triton" if has_kernel else "reference")
        return self.attend(queries, rows, backend)

    def attend(self, queries: Tensor, rows: QueryRows, backend: str) -> Tensor:
        """Attention with the conversations' window."""
        return paged_attention(
            queries,
            self.cache,
            rows,
            window=self.window,
            rope=self.rope,
            split_tokens=self.split_tokens,
            backend=backend,
        )

    def roll_back(self, slot: int, tokens: int) -> None:
        """Forget a conversation's last tokens."""
        self.cache.lengths[slot] -= tokens
        self.history[slot] = self.history[slot][:-tokens]

    def expected(self, counts: Sequence[int]) -> Tensor:
        """What the last step with these `counts` must have given, float32 on the CPU."""
        heads = self.projected.float().cpu().unflatten(1, (-1, self.head_dim))
        queries = iter(heads[:, : self.q_heads])
        rows = []
        for slot, count in enumerate(counts):
            length = len(self.history[slot])
            places = range(length - count, length)
            rows += [self._attend_one(next(queries), slot, place) for place in places]
        padding = torch.zeros(self.q_heads, self.head_dim)
        return torch.stack(rows + [padding] * PADDING)

    def _attend_one(self, query: Tensor, slot: int, position: int) -> Tensor:
        n_sinks = self.cache.n_sinks if self.window else 0
        first = max(0, position - self.window + 1) if self.window else 0
        recent = [p for p in range(first, position + 1) if p >= n_sinks]
        sinks = list(range(min(n_sinks, position + 1)))
        shift = max(0, first - n_sinks)
        kv = [turned(self.history[slot][sinks], torch.tensor(sinks) + shift)]
        if self.cache.scales is None:
            kv.append(turned(self.history[slot][recent], torch.tensor(recent)))
        else:
            kv.append(self.stored(slot, recent))
        keys, values = torch.cat(kv).permute(1, 2, 0, 3)
        rotated = by_complex_numbers(query[None], torch.tensor([position]))[0][:, None]
        return functional.scaled_dot_product_attention(
            rotated[None], keys[None], values[None], enable_gqa=True
        )[0, :, 0]

    def stored(self, slot: int, positions: Sequence[int]) -> Tensor:
        """Keys and values as the cache has them, [positions, 2, kv_heads, head_dim] float32."""
        cells = []
        for position in positions:
            page = int(self.cache.page_table[slot, position // self.cache.page_size])
            at = position % self.cache.page_size
            cell = self.cache.pages[page, :, :, at].float().cpu()
            if self.cache.scales is not None:
                cell = cell * self.cache.scales[page, :, :, at, None].float().cpu()
            cells.append(cell)
        return torch.stack(cells) if cells else torch.zeros(0, 2, self.kv_heads, self.head_dim)


def by_complex_numbers(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary embedding of [positions, heads, head_dim]."""
    low, high = x.double().chunk(2, dim=-1)
    half = low.shape[-1]
    frequency = 10_000.0 ** -(torch.arange(half, dtype=torch.float64) / half)
    angle = positions.double()[:, None, None] * frequency
    turned = torch.complex(low, high) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([turned.real, turned.imag], dim=-1).float()


def turned(kv: Tensor, positions: Tensor) -> Tensor:
    """Keys rotated, values as they are: [positions, 2, kv_heads, head_dim]."""
    return torch.stack([by_complex_numbers(kv[:, 0], positions), kv[:, 1]], dim=1)
