"""Paged attention: every backend against SDPA in float32 on one token at a time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from conversations import PADDING, Conversations
from duplex_kernels.errors import (
    BackendUnavailable,
    DeviceError,
    DtypeError,
    KernelError,
    LayoutError,
    PageTableError,
    ShapeError,
)
from duplex_kernels.paged import attention_dense as paged_attention_dense
from duplex_kernels.paged.attention import paged_attention
from duplex_kernels.rope_append import rope_append
from duplex_kernels.rope_table import RopeTable
from hypothesis import given, settings
from hypothesis import strategies as st

BACKENDS = ("triton", "sdpa", "reference")
BF16 = pytest.param(torch.bfloat16, marks=pytest.mark.gpu)
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
"""Largest error of a result of order 1; float16 and bfloat16 round the rotated keys once."""

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def largest_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.float().cpu() - wanted).abs().max())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, BF16])
@pytest.mark.parametrize(
    ("before", "counts"),
    [
        pytest.param([0, 0, 0], [1, 7, 8], id="first tokens of a conversation"),
        pytest.param([6, 7, 8], [1, 1, 1], id="a page less one, a page, a page and one"),
        pytest.param([14, 15, 16], [1, 1, 1], id="a split less one, a split, a split and one"),
        pytest.param([31, 5, 40], [2, 0, 5], id="several pages, an idle slot, a chunk"),
        pytest.param([48], [16], id="the longest chunk"),
    ],
)
def test_ragged_conversations(
    backend: str, dtype: torch.dtype, before: list[int], counts: list[int], device: torch.device
) -> None:
    talk = Conversations(len(before), q_heads=3, kv_heads=1, dtype=dtype, device=device)
    talk.grow_to(before)
    attended = talk.step(counts, backend)
    assert largest_error(attended, talk.expected(counts)) < TOLERANCE[dtype]
    assert not attended[-PADDING:].any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("q_heads", "kv_heads", "head_dim"),
    [(9, 3, 64), (14, 2, 64), (2, 2, 32), (8, 1, 128), (5, 1, 64)],
)
def test_groups_and_head_dimensions(
    backend: str, q_heads: int, kv_heads: int, head_dim: int, device: torch.device
) -> None:
    shape = {"q_heads": q_heads, "kv_heads": kv_heads, "head_dim": head_dim}
    talk = Conversations(1, **shape, window=20, sinks=2, device=device)
    talk.grow_to([30])
    attended = talk.step([3], backend)
    assert largest_error(attended, talk.expected([3])) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("window", [1, 8, 15, 16, 17])
@pytest.mark.parametrize("sinks", [0, 1, 4])
def test_the_edge_of_the_window(
    backend: str, window: int, sinks: int, device: torch.device
) -> None:
    """From sinks inside the window of every row, over a chunk that loses them, to far behind."""
    talk = Conversations(
        3, q_heads=2, kv_heads=1, window=window, sinks=sinks, split_tokens=32, device=device
    )
    talk.grow_to([max(window - 3, 0), window + sinks, 50])
    attended = talk.step([4, 1, 5], backend)
    assert largest_error(attended, talk.expected([4, 1, 5])) < 1e-5


@st.composite
def _steps(draw: st.DrawFn) -> dict[str, Any]:
    slots = draw(st.integers(1, 3))
    window = draw(st.sampled_from([0, 0, 3, 16, 33]))
    return {
        "before": draw(st.lists(st.integers(0, 50), min_size=slots, max_size=slots)),
        "counts": draw(st.lists(st.integers(0, 7), min_size=slots, max_size=slots)),
        "window": window,
        "sinks": draw(st.sampled_from([0, 2, 5])),
        "int8": draw(st.booleans()),
        "page_size": draw(st.sampled_from([4, 16])),
        "split_tokens": draw(st.sampled_from([16, 64])),
    }


def _holds(step: dict[str, Any], backend: str) -> None:
    before, counts = step.pop("before"), step.pop("counts")
    shape = {"q_heads": 3, "kv_heads": 1, "width": 64 // step["page_size"]}
    talk = Conversations(len(before), **shape, **step, device=DEVICE)
    talk.grow_to(before)
    attended = talk.step(counts, backend)
    assert largest_error(attended, talk.expected(counts)) < 1e-5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(_steps(), st.sampled_from(["sdpa", "reference"]))
def test_any_step_without_the_kernel(step: dict[str, Any], backend: str) -> None:
    _holds(step, backend)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(_steps())
def test_any_step_with_the_kernel(step: dict[str, Any]) -> None:
    _holds(step, "triton")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_may_see_nothing_of_a_split(backend: str, device: torch.device) -> None:
    """The last rows of the chunk have their window behind the first split."""
    talk = Conversations(1, q_heads=2, kv_heads=1, window=4, device=device)
    talk.grow_to([12])
    attended = talk.step([16], backend)
    assert largest_error(attended, talk.expected([16])) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_slot_alone_equals_the_slot_in_a_batch(backend: str, device: torch.device) -> None:
    shape = {"q_heads": 3, "kv_heads": 1, "window": 24, "sinks": 3, "device": device}
    before, counts = [3, 37, 50], [4, 2, 1]
    together = Conversations(3, **shape)
    together.grow_to(before)
    attended = together.step(counts, backend)
    alone = Conversations(1, first_seed=1, **shape)
    alone.grow_to(before[1:2])
    assert torch.equal(alone.step(counts[1:2], backend)[:2], attended[4:6])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_chunk_equals_its_tokens_one_by_one(backend: str, device: torch.device) -> None:
    shape = {"q_heads": 2, "kv_heads": 1, "window": 6, "sinks": 2, "device": device}
    chunk, single = Conversations(1, **shape), Conversations(1, **shape)
    for talk in (chunk, single):
        talk.grow_to([6])
    # The tokens of three steps come from the same seed as those of the chunk.
    together = chunk.step([3], backend)[:3]
    one_by_one = torch.cat([single.step([1], backend)[:1] for _ in range(3)])
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("int8", [False, True])
def test_rolling_back_leaves_no_trace(backend: str, int8: bool, device: torch.device) -> None:
    shape = {"q_heads": 2, "kv_heads": 1, "window": 12, "sinks": 4, "int8": int8}
    straight, cut = (Conversations(1, **shape, device=device) for _ in range(2))
    straight.append([3])
    cut.append([3])
    state = cut.random[0].get_state()
    cut.append([14], "triton")
    cut.roll_back(0, 14)
    cut.random[0].set_state(state)
    assert torch.equal(cut.step([5], backend), straight.step([5], backend))


@pytest.mark.parametrize("backend", BACKENDS)
def test_pages_in_front_of_the_window_may_be_given_away(backend: str, device: torch.device) -> None:
    talk = Conversations(1, q_heads=2, kv_heads=1, window=6, sinks=2, device=device)
    talk.grow_to([30])
    # The first query stands at 30 and sees back to 25, which is in the fourth page: in the middle
    # of what a program reads at a time. The third entry leads to cells that are not a number.
    given = talk.cache.page_table[0, :3].long()
    talk.cache.pages[given] = float("nan")
    talk.cache.page_table[0, :2] = -5
    assert largest_error(talk.step([3], backend), talk.expected([3])) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_a_window_sinks_are_ordinary_tokens(backend: str, device: torch.device) -> None:
    talk = Conversations(1, q_heads=2, kv_heads=1, sinks=4, device=device)
    talk.grow_to([20])
    assert largest_error(talk.step([1], backend), talk.expected([1])) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_stays_close_to_what_was_said(backend: str, device: torch.device) -> None:
    shape = {"q_heads": 9, "kv_heads": 3, "head_dim": 64, "device": device}
    exact, int8 = Conversations(1, **shape), Conversations(1, **shape, int8=True)
    for talk in (exact, int8):
        talk.grow_to([29])
    # Keys and values are off by 1/254 of their row's peak (about 3) at most, results by as much.
    assert largest_error(int8.step([2], backend), exact.step([2], backend).cpu()) < 3 / 127


def test_split_size_changes_no_more_than_rounding(device: torch.device) -> None:
    talk = Conversations(1, q_heads=2, kv_heads=1, device=device)
    talk.grow_to([44])
    queries, rows = talk.append([2])
    results = []
    for talk.split_tokens in (16, 64, 256):
        results.append(talk.attend(queries, rows, "triton"))
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-6)
    # One program each, and tiles of the same size: the same bits.
    assert torch.equal(results[2], results[1])


def test_the_scale_may_be_given(device: torch.device) -> None:
    talk = Conversations(1, q_heads=2, kv_heads=1, device=device)
    queries, rows = talk.append([5])
    first, *others = (
        paged_attention(queries, talk.cache, rows, scale=0.5, backend=name) for name in BACKENDS
    )
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=1e-5)
    assert largest_error(first, talk.expected([5])) > 1e-2


Arguments = dict[str, Any]
Change = Callable[[Arguments], Arguments]


def _entry(index: int, value: int) -> Change:
    def change(arguments: Arguments) -> Arguments:
        arguments["cache"].page_table[0, index] = value
        return arguments

    return change


def _queries(change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda a: a | {"queries": change(a["queries"])}


def _cache(**change: Any) -> Change:
    return lambda a: a | {"cache": replace(a["cache"], **change)}


def _longer(arguments: Arguments) -> Arguments:
    arguments["cache"].lengths.add_(1)
    return arguments


@pytest.mark.parametrize(
    ("error", "change"),
    [
        pytest.param(ShapeError, _queries(lambda q: q.flatten(1)), id="two dimensions"),
        pytest.param(ShapeError, _queries(lambda q: q[..., :16].contiguous()), id="half a head"),
        pytest.param(
            ShapeError, _queries(lambda q: q[:, :3].contiguous()), id="one head and a half"
        ),
        pytest.param(ShapeError, _queries(lambda q: q.repeat(1, 6, 1)), id="group of eighteen"),
        pytest.param(ShapeError, _queries(lambda q: q[:-1]), id="fewer queries than rows"),
        pytest.param(DtypeError, _queries(lambda q: q.half()), id="another type than the pages"),
        pytest.param(DtypeError, _queries(lambda q: q.double()), id="float64"),
        pytest.param(
            LayoutError,
            _queries(lambda q: q.transpose(0, 1).contiguous().transpose(0, 1)),
            id="heads before tokens",
        ),
        pytest.param(DeviceError, _queries(lambda q: q.to("meta")), id="another device"),
        pytest.param(KernelError, lambda a: a | {"rope": None}, id="sinks without a rope table"),
        pytest.param(ShapeError, lambda a: a | {"window": -1}, id="negative window"),
        pytest.param(ShapeError, lambda a: a | {"split_tokens": 48}, id="split of 48"),
        pytest.param(ShapeError, lambda a: a | {"split_tokens": 8}, id="split of 8"),
        pytest.param(
            PageTableError,
            lambda a: a | {"rope": RopeTable(*(t[:9] for t in (a["rope"].cos, a["rope"].sin)))},
            id="short rope table",
        ),
        pytest.param(ShapeError, _cache(sinks=torch.zeros(1, 2, 2, 17, 32)), id="too many sinks"),
        pytest.param(DtypeError, _cache(scales=torch.zeros(11, 2, 2, 8).half()), id="scales"),
        pytest.param(PageTableError, _entry(1, 11), id="page beyond the end"),
        pytest.param(PageTableError, _entry(0, -1), id="negative page in the window"),
        pytest.param(PageTableError, _longer, id="rows of another step"),
        pytest.param(BackendUnavailable, lambda a: a | {"backend": "cutlass"}, id="backend"),
    ],
)
def test_wrong_arguments_are_refused(
    error: type[KernelError], change: Change, device: torch.device
) -> None:
    talk = Conversations(1, q_heads=4, sinks=2, window=16)
    talk.grow_to([7])
    queries, rows = talk.append([3])
    right = {"queries": queries, "cache": talk.cache, "rows": rows, "rope": talk.rope, "window": 16}
    paged_attention(**right, backend="reference")
    wrong = change(right | {"backend": "reference"})
    with pytest.raises(KernelError) as raised:
        paged_attention(**wrong)
    assert type(raised.value) is error


def test_bfloat16_is_refused_in_the_interpreter() -> None:
    if DEVICE.type == "cuda":
        pytest.skip("no interpreter where there is a GPU")
    talk = Conversations(1, dtype=torch.bfloat16)
    queries, rows = talk.append([2])
    with pytest.raises(DtypeError, match="interpreter"):
        rope_append(talk.projected, talk.cache, rows, talk.rope, backend="triton")
    with pytest.raises(DtypeError, match="interpreter"):
        talk.attend(queries, rows, "triton")
    attended = talk.attend(queries, rows, "sdpa")
    assert largest_error(attended, talk.expected([2])) < TOLERANCE[torch.bfloat16]


def test_flash_attn_says_what_it_cannot_do() -> None:
    talk = Conversations(1, window=4, sinks=1)
    queries, rows = talk.append([2])
    arguments = (talk.cache, rows, talk.rope)
    with pytest.raises(BackendUnavailable, match="sinks"):
        paged_attention_dense.flash_attn(queries, *arguments, window=4, scale=1.0)
    with pytest.raises(DtypeError, match="float16"):
        paged_attention_dense.flash_attn(queries, *arguments, window=0, scale=1.0)


@pytest.mark.gpu
@pytest.mark.parametrize("page_size", [16, 256])
@pytest.mark.parametrize("window", [0, 20])
def test_flash_attn_gives_the_same(page_size: int, window: int) -> None:
    pytest.importorskip("flash_attn")
    talk = Conversations(
        3,
        q_heads=9,
        kv_heads=3,
        head_dim=64,
        page_size=page_size,
        width=512 // page_size,
        window=window,
        dtype=torch.float16,
        device="cuda",
    )
    talk.grow_to([3, 40, 300])
    attended = talk.step([4, 0, 2], "flash_attn")
    assert largest_error(attended, talk.expected([4, 0, 2])) < TOLERANCE[torch.float16]


@pytest.mark.gpu
@pytest.mark.parametrize("int8", [False, True])
def test_one_graph_serves_every_step(int8: bool) -> None:
    """Captured once, replayed with other lengths, counts and pages."""
    shape = {"q_heads": 9, "kv_heads": 3, "head_dim": 64, "page_size": 16, "width": 24}
    talk = Conversations(
        3, **shape, window=100, sinks=4, int8=int8, dtype=torch.bfloat16, device="cuda"
    )
    talk.grow_to([20, 130, 0])
    # Both outside the graph: what a graph reads has to keep its address.
    qkv, rows = talk.tokens([2, 1, 1]), talk.rows([2, 1, 1])
    buffers = [qkv, rows.starts, rows.slots, rows.positions]

    def step() -> torch.Tensor:
        queries = rope_append(qkv, talk.cache, rows, talk.rope)
        return talk.attend(queries, rows, "triton")

    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        attended = step()
    for counts in ([2, 1, 1], [0, 4, 0], [1, 1, 2]):
        if counts != [2, 1, 1]:
            talk.projected = talk.tokens(counts)
            fresh = talk.rows(counts)
            for buffer, new in zip(
                buffers,
                (talk.projected, fresh.starts, fresh.slots, fresh.positions),
                strict=True,
            ):
                buffer.copy_(new)
        talk.projected = qkv
        graph.replay()
        assert largest_error(attended, talk.expected(counts)) < 3e-2
