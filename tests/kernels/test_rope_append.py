"""RoPE with append: the kernel and its reference against complex numbers and plain indexing."""

from dataclasses import replace

import pytest
import torch
from conversations import PADDING, Conversations, by_complex_numbers, turned
from duplex_kernels.errors import (
    BackendUnavailable,
    DeviceError,
    DtypeError,
    KernelError,
    LayoutError,
    PageTableError,
    ShapeError,
)
from duplex_kernels.paged.cache import QueryRows
from duplex_kernels.rope_append import rope_append
from duplex_kernels.rope_table import RopeTable

TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""Of rotated values up to 5 or so, one rounding of the type."""

BACKENDS = ("triton", "reference")
BF16 = pytest.param(torch.bfloat16, marks=pytest.mark.gpu)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, BF16])
@pytest.mark.parametrize(
    ("q_heads", "kv_heads", "head_dim"), [(9, 3, 64), (14, 2, 64), (8, 1, 128), (4, 4, 32)]
)
def test_tokens_are_split_rotated_and_stored(
    backend: str,
    dtype: torch.dtype,
    q_heads: int,
    kv_heads: int,
    head_dim: int,
    device: torch.device,
) -> None:
    shape = {"q_heads": q_heads, "kv_heads": kv_heads, "head_dim": head_dim}
    talk = Conversations(3, dtype=dtype, device=device, **shape)
    talk.grow_to([7, 0, 15])
    queries, rows = talk.append([2, 0, 3], backend)

    heads = talk.projected.float().cpu().unflatten(1, (-1, head_dim))[:-PADDING, :q_heads]
    expected = by_complex_numbers(heads, rows.positions[:-PADDING].cpu())
    bound = TOLERANCE[dtype]
    torch.testing.assert_close(queries[:-PADDING].float().cpu(), expected, rtol=0, atol=bound)
    assert not queries[-PADDING:].any()
    for slot, length in enumerate([9, 0, 18]):
        kept = talk.stored(slot, range(length))
        wanted = turned(talk.history[slot], torch.arange(length))
        torch.testing.assert_close(kept, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_idle_slot_is_not_touched(backend: str, device: torch.device) -> None:
    talk = Conversations(2, sinks=4, device=device)
    talk.grow_to([5, 3])
    idle = talk.cache.page_table[1].long()
    pages, sinks = talk.cache.pages[idle].clone(), talk.cache.sinks[1].clone()
    talk.append([3, 0], backend)
    assert torch.equal(talk.cache.pages[idle].nan_to_num(9), pages.nan_to_num(9))
    assert torch.equal(talk.cache.sinks[1].nan_to_num(9), sinks.nan_to_num(9))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_tokens_are_kept_unrotated(backend: str, device: torch.device) -> None:
    talk = Conversations(2, sinks=3, device=device)
    talk.append([2, 5], backend)
    sinks = talk.cache.sinks.float().cpu().permute(0, 3, 1, 2, 4)
    assert torch.equal(sinks[0, :2], talk.history[0])
    assert torch.equal(sinks[1], talk.history[1][:3])
    assert sinks[0, 2].isnan().all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_is_off_by_half_a_step_at_most(backend: str, device: torch.device) -> None:
    talk = Conversations(2, int8=True, q_heads=9, kv_heads=3, head_dim=64, device=device)
    talk.append([9, 1], backend)
    for slot, length in enumerate([9, 1]):
        exact = turned(talk.history[slot], torch.arange(length))
        # Half a step, and a scale that float16 rounds by up to 2^-11 of a value of 127 steps.
        half_step = exact.abs().amax(-1, keepdim=True) / 127 * (0.5 + 127 * 2**-11)
        assert ((talk.stored(slot, range(length)) - exact).abs() <= half_step).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_of_zeros_is_zero(backend: str, device: torch.device) -> None:
    talk = Conversations(1, int8=True, device=device)
    qkv = torch.zeros_like(talk.tokens([1]))
    rope_append(qkv, talk.cache, talk.rows([1]), talk.rope, backend=backend)
    assert not talk.stored(0, [0]).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_the_projection_may_have_a_stride(backend: str, device: torch.device) -> None:
    plain, strided = (Conversations(1, device=device) for _ in range(2))
    expected, _ = plain.append([4], backend)
    qkv = torch.nn.functional.pad(strided.tokens([4]), (0, 32))[:, :-32]
    queries = rope_append(qkv, strided.cache, strided.rows([4]), strided.rope, backend=backend)
    assert torch.equal(queries, expected)


def test_later_tokens_overwrite_rolled_back_ones(device: torch.device) -> None:
    talk = Conversations(1, sinks=4, device=device)
    talk.append([6], "triton")
    talk.roll_back(0, 4)
    talk.append([9], "triton")
    kept = talk.stored(0, range(11))
    torch.testing.assert_close(kept, turned(talk.history[0], torch.arange(11)), rtol=0, atol=1e-5)
    sinks = talk.cache.sinks[0].float().cpu().permute(2, 0, 1, 3)
    assert torch.equal(sinks, talk.history[0][:4])


def _wrong_arguments() -> list:
    def cache(**change):
        return lambda a: {**a, "cache": replace(a["cache"], **{k: f(a) for k, f in change.items()})}

    def row(name, change):
        return lambda a: {
            **a, "rows": replace(a["rows"], **{name: change(getattr(a["rows"], name))})
        }  # fmt: skip

    def qkv(change):
        return lambda a: {**a, "qkv": change(a["qkv"])}

    def rope(change):
        return lambda a: {
            **a,
            "rope": RopeTable(*(change(t) for t in (a["rope"].cos, a["rope"].sin))),
        }

    def table(slot, value):
        def change(a):
            a["cache"].page_table[slot, 0] = value
            return a

        return change

    def length(value):
        def change(a):
            a["cache"].lengths[0] = value
            return a

        return change

    return [
        ("half a head", ShapeError, qkv(lambda x: x[:, :-16].contiguous())),
        ("no query heads", ShapeError, qkv(lambda x: x[:, : 4 * 32].contiguous())),
        ("three dimensions", ShapeError, qkv(lambda x: x[None])),
        ("integers", DtypeError, qkv(lambda x: x.nan_to_num().int())),
        ("float64", DtypeError, qkv(lambda x: x.double())),
        ("another type than the pages", DtypeError, qkv(lambda x: x.half())),
        ("columns apart", LayoutError, qkv(lambda x: x.repeat_interleave(2, 1)[:, ::2])),
        ("another device", DeviceError, qkv(lambda x: x.to("meta"))),
        (
            "pages without the pair",
            ShapeError,
            cache(pages=lambda a: a["cache"].pages[:, :1].contiguous()),
        ),
        (
            "strided pages",
            LayoutError,
            cache(pages=lambda a: a["cache"].pages.transpose(2, 3).contiguous().transpose(2, 3)),
        ),
        (
            "pages of six",
            ShapeError,
            cache(pages=lambda a: a["cache"].pages[:, :, :, :6].contiguous()),
        ),
        ("long table", DtypeError, cache(page_table=lambda a: a["cache"].page_table.long())),
        ("lengths too few", ShapeError, cache(lengths=lambda a: a["cache"].lengths[:1])),
        ("int8 without scales", DtypeError, cache(pages=lambda a: a["cache"].pages.char())),
        ("rows too few", ShapeError, row("slots", lambda x: x[:-1])),
        ("long positions", DtypeError, row("positions", lambda x: x.long())),
        ("no token", ShapeError, row("max_query", lambda _: 0)),
        ("too many tokens", ShapeError, row("max_query", lambda _: 17)),
        ("half table", DtypeError, rope(lambda x: x.half())),
        ("narrow table", ShapeError, rope(lambda x: x[:, :8].contiguous())),
        ("short table", PageTableError, rope(lambda x: x[:2].contiguous())),
        ("page beyond the end", PageTableError, table(0, 10_000)),
        ("negative page", PageTableError, table(0, -1)),
        ("shared page", PageTableError, lambda a: table(0, int(a["cache"].page_table[1, 0]))(a)),
        ("length not raised", PageTableError, length(1)),
        ("length beyond the table", PageTableError, length(1000)),
        ("positions of another step", PageTableError, row("positions", lambda x: x + 1)),
        ("more than max_query", PageTableError, row("max_query", lambda _: 1)),
        ("starts that fall", PageTableError, row("starts", lambda x: x.flip(0).contiguous())),
        ("unknown backend", BackendUnavailable, lambda a: {**a, "backend": "cutlass"}),
        ("unsupported backend", BackendUnavailable, lambda a: {**a, "backend": "sdpa"}),
    ]


@pytest.mark.parametrize(
    ("error", "change"), [pytest.param(e, c, id=name) for name, e, c in _wrong_arguments()]
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    error: type[KernelError], change, device: torch.device
) -> None:
    talk = Conversations(2, device=device)
    qkv, rows = talk.tokens([2, 3]), talk.rows([2, 3])
    arguments = {"qkv": qkv, "cache": talk.cache, "rows": rows, "rope": talk.rope}
    wrong = change(arguments | {"backend": "triton"})
    with pytest.raises(KernelError) as raised:
        rope_append(**wrong)
    assert type(raised.value) is error
    assert talk.cache.pages.isnan().all()


def test_rows_say_who_and_where(device: torch.device) -> None:
    talk = Conversations(4, device=device)
    talk.grow_to([3, 0, 5, 1])
    rows: QueryRows = talk.rows([2, 0, 0, 3])
    assert rows.slots.tolist() == [0, 0, 3, 3, 3, -1, -1]
    assert rows.positions.tolist() == [3, 4, 1, 2, 3, 0, 0]
