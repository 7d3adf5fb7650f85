"""The key-value cache of one layer in pages, and the query tokens that meet it.

Both are plain data. Which page belongs to whom is decided elsewhere (an allocator on the host
writes `page_table`), and a conversation is rolled back by making its length smaller: what lies
behind the length is never read, and is overwritten by the next append.

Lengths count the tokens of the current step. The order of a step is therefore: raise `lengths`,
build the rows with `query_rows`, then for each layer append and attend.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import same_device
from duplex_kernels.errors import DtypeError, PageTableError, ShapeError

HEAD_DIMS = (32, 64, 128)
MAX_QUERY = 16
MAX_SINKS = 16


@dataclass(frozen=True)
class PagedCache:
    """One layer's cache. All tensors are contiguous and on one device.

    pages: [n_pages, 2, kv_heads, page_size, head_dim], keys (rotated) then values; float32,
        float16, bfloat16 or int8. One head's rows of a page lie together, so that they are read in
        one piece.
    page_table: int32 [slots, table_width]; entry p holds positions p * page_size and following.
        Entries in front of the window or behind the length may hold anything.
    lengths: int32 [slots], tokens in the cache, those of the current step included.
    scales: float16 [n_pages, 2, kv_heads, page_size] if pages are int8: value = page * scale.
    sinks: [slots, 2, kv_heads, n_sinks, head_dim], the first tokens' keys (not rotated) and values,
        in the type of the queries. With a window these are read in place of their pages, which may
        then be given to others.

    `page_table` and `lengths` are the same tensors in all layers of a model.
    """

    pages: Tensor
    page_table: Tensor
    lengths: Tensor
    scales: Tensor | None = None
    sinks: Tensor | None = None

    @property
    def slots(self) -> int:
        """Conversations that fit."""
        return self.page_table.shape[0]

    @property
    def kv_heads(self) -> int:
        """Key-value heads."""
        return self.pages.shape[2]

    @property
    def page_size(self) -> int:
        """Tokens in a page."""
        return self.pages.shape[3]

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.pages.shape[4]

    @property
    def capacity(self) -> int:
        """Most tokens a conversation may have: what its row of the page table can address."""
        return self.page_table.shape[1] * self.page_size

    @property
    def n_sinks(self) -> int:
        """First tokens kept aside; 0 without a buffer for them."""
        return 0 if self.sinks is None else self.sinks.shape[3]

    def to(self, dtype: torch.dtype) -> "PagedCache":
        """A copy with pages (unless they are int8) and sinks in another type, to compare with."""
        pages = self.pages if self.pages.dtype == torch.int8 else self.pages.to(dtype)
        return replace(
            self, pages=pages, sinks=None if self.sinks is None else self.sinks.to(dtype)
        )

    def check(self, dtype: torch.dtype) -> None:
        """Raise ShapeError, DtypeError, LayoutError or DeviceError if a kernel cannot take this.

        `dtype` is the type of the queries. Reads no tensor's contents.
        """
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        same_device(**tensors)
        checks.contiguous(**tensors)
        if self.pages.ndim != 5 or self.pages.shape[1] != 2 or self.page_table.ndim != 2:
            raise ShapeError(
                "pages must be [n_pages, 2, kv_heads, page_size, head_dim] and page_table "
                f"[slots, width], not {list(self.pages.shape)} and {list(self.page_table.shape)}"
            )
        if self.page_size & (self.page_size - 1):
            raise ShapeError(f"page_size must be a power of two, not {self.page_size}")
        if self.head_dim not in HEAD_DIMS:
            raise ShapeError(f"head_dim must be one of {HEAD_DIMS}, not {self.head_dim}")
        if self.n_sinks > MAX_SINKS:
            raise ShapeError(f"at most {MAX_SINKS} sinks, not {self.n_sinks}")
        checks.shape((self.slots,), lengths=self.lengths)
        checks.shape(tuple(self.pages.shape[:4]), scales=self.scales)
        sinks = (self.slots, 2, self.kv_heads, self.n_sinks, self.head_dim)
        checks.shape(sinks, sinks=self.sinks)
        quantized = self.pages.dtype == torch.int8
        if quantized != (self.scales is not None):
            raise DtypeError("int8 pages need scales, and only they have them")
        checks.dtype(dtype, pages=None if quantized else self.pages, sinks=self.sinks)
        checks.dtype(torch.int32, page_table=self.page_table, lengths=self.lengths)
        checks.dtype(torch.float16, scales=self.scales)


@dataclass(frozen=True)
class QueryRows:
    """Which token of a step belongs to which conversation; made by `query_rows`.

    starts: int32 [slots + 1]; slot s has the tokens starts[s] to starts[s + 1] - 1, none if it is
        idle in this step. Tokens from starts[slots] on are padding.
    slots: int32 [tokens], -1 for padding.
    positions: int32 [tokens], in the conversation; 0 for padding.
    max_query: most tokens any slot may have in one step, 1 to 16. A fixed property of the engine:
        the launch grid depends on it and never on the contents of a step.
    """

    starts: Tensor
    slots: Tensor
    positions: Tensor
    max_query: int

    def check(self, cache: PagedCache, tokens: int) -> None:
        """Raise ShapeError, DtypeError, LayoutError or DeviceError; reads no contents."""
        same_device(
            pages=cache.pages, starts=self.starts, slots=self.slots, positions=self.positions
        )
        checks.shape((cache.slots + 1,), starts=self.starts)
        checks.shape((tokens,), slots=self.slots, positions=self.positions)
        checks.dtype(torch.int32, starts=self.starts, slots=self.slots, positions=self.positions)
        checks.contiguous(starts=self.starts, slots=self.slots, positions=self.positions)
        if not 1 <= self.max_query <= MAX_QUERY:
            raise ShapeError(f"max_query must be 1 to {MAX_QUERY}, not {self.max_query}")


def query_rows(starts: Tensor, lengths: Tensor, tokens: int, max_query: int) -> QueryRows:
    """The rows of a step from `starts` [slots + 1] and the raised `lengths` [slots], both int32.

    `tokens` is the fixed size of the step's buffers, padding included. Works on the device alone,
    so it may be captured in a CUDA graph.
    """
    token = torch.arange(tokens, dtype=torch.int32, device=starts.device)
    slot = torch.searchsorted(starts[1:], token, right=True, out_int32=True)
    padding = slot >= lengths.shape[0]
    owner = slot.clamp(max=lengths.shape[0] - 1)
    positions = lengths[owner] - starts[owner + 1] + token
    return QueryRows(
        starts=starts,
        slots=slot.masked_fill(padding, -1),
        positions=positions.masked_fill(padding, 0),
        max_query=max_query,
    )


def check_contents(cache: PagedCache, rows: QueryRows, reach: int | None) -> None:
    """Raise PageTableError if a kernel would leave its buffers or read another's cells.

    `reach` is how many positions in front of a slot's first query are touched (0 for an append,
    window - 1 with a window, None for all). Copies the small index tensors to the host, which
    waits for the device: never while a CUDA graph is captured.
    """
    starts, lengths, table = (t.cpu() for t in (rows.starts, cache.lengths, cache.page_table))
    counts = starts.diff()
    active = counts > 0
    if starts[0] != 0 or bool((counts < 0).any()) or starts[-1] > rows.slots.shape[0]:
        raise PageTableError(f"starts must rise from 0 to the number of tokens: {starts.tolist()}")
    for bad, text in (
        (counts > rows.max_query, f"more than max_query = {rows.max_query} tokens"),
        (active & (lengths < counts), "fewer tokens in `lengths` than in this step"),
        (active & (lengths > cache.capacity), f"more than {cache.capacity} tokens in the table"),
    ):
        if bool(bad.any()):
            raise PageTableError(f"slots {bad.nonzero().flatten().tolist()}: {text}")
    expected = query_rows(starts, lengths, rows.slots.shape[0], rows.max_query)
    if not (
        torch.equal(expected.slots, rows.slots.cpu())
        and torch.equal(expected.positions, rows.positions.cpu())
    ):
        raise PageTableError("rows do not fit `lengths`: raise lengths first, then call query_rows")
    first = torch.zeros_like(lengths) if reach is None else lengths - counts - reach
    index = torch.arange(table.shape[1])
    used = active[:, None] & (index <= ((lengths - 1) // cache.page_size)[:, None])
    used &= index >= (first.clamp(min=0) // cache.page_size)[:, None]
    outside = used & ((table < 0) | (table >= cache.pages.shape[0]))
    if bool(outside.any()):
        slot, entry = outside.nonzero()[0].tolist()
        raise PageTableError(
            f"slot {slot}, entry {entry}: page {int(table[slot, entry])} is not one of the "
            f"{cache.pages.shape[0]} pages"
        )
    if reach == 0:
        written = table[used]
        if written.unique().numel() != written.numel():
            raise PageTableError("two slots append to one page: a page has one writer")


def check_capturable(check_pages: bool) -> bool:
    """Whether contents may be looked at now: not while this thread captures a CUDA graph."""
    return check_pages and not (
        torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
    )
