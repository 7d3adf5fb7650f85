"""Sampling from logits: the search for thresholds against sorting, and the generator's words."""

import pytest
import torch
from duplex_kernels.errors import DtypeError, ShapeError
from duplex_kernels.philox import uniform, words
from duplex_kernels.sampling import sample
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _arguments(
    logits: Tensor, temperature: float, top_k: int, top_p: float, seed: int
) -> dict[str, Tensor]:
    slots = len(logits)

    def every(value: float, dtype: torch.dtype) -> Tensor:
        return torch.full((slots,), value, dtype=dtype, device=DEVICE)

    return {
        "logits": logits.to(DEVICE),
        "temperature": every(temperature, torch.float32),
        "top_k": every(top_k, torch.int32),
        "top_p": every(top_p, torch.float32),
        "seeds": every(seed, torch.int64),
        "offsets": torch.arange(slots, device=DEVICE) + (seed << 7),
    }


def _logits(seed: int, slots: int, vocabulary: int, dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(slots, vocabulary, generator=rng)).to(dtype)


def test_the_generator_gives_the_published_words() -> None:
    # Known answer of the authors' Random123 for counter 0 and key 0.
    zero = torch.zeros(1, dtype=torch.int64)
    assert words(zero, zero).tolist() == [0x6627E8D5]


def test_uniform_numbers_fill_the_unit_interval() -> None:
    drawn = uniform(torch.full((4096,), 7), torch.arange(4096) - 2048)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = torch.histc(drawn, bins=16, min=0, max=1)
    assert ((counts - 256) ** 2 / 256).sum() < 37.7  # chi squared, 15 degrees, p = 0.001


@settings(deadline=None, max_examples=16)
@given(
    seed=st.integers(0, 2**40),
    vocabulary=st.integers(1, 300),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    top_k=st.sampled_from([0, 1, 3, 40, 10**6]),
    top_p=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.float16]),
)
def test_both_ways_draw_the_same_tokens(
    seed: int, vocabulary: int, temperature: float, top_k: int, top_p: float, dtype: torch.dtype
) -> None:
    logits = _logits(seed, 2, vocabulary, dtype)
    one = _arguments(logits, temperature, top_k, top_p, seed)
    two = _arguments(logits, temperature, top_k, top_p, seed)
    assert torch.equal(sample(**one, backend="triton"), sample(**two, backend="reference"))
    assert torch.equal(one["offsets"], two["offsets"])


def test_a_row_longer_than_a_block_with_forbidden_tokens() -> None:
    logits = _logits(1, 3, 9001)
    logits[:, ::3] = -torch.inf
    logits[:, :8000] -= 3.0  # So that draws fall into the second block too.
    one, two = (_arguments(logits, 1.3, 200, 0.95, 5) for _ in range(2))
    tokens = sample(**one, backend="triton")
    assert torch.equal(tokens, sample(**two, backend="reference"))
    assert (tokens % 3 != 0).all()


@pytest.mark.gpu
@pytest.mark.parametrize("vocabulary", [49152, 151936])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_whole_vocabulary_on_hardware(vocabulary: int, dtype: torch.dtype) -> None:
    logits = _logits(2, 64, vocabulary, dtype)
    one, two = (_arguments(logits, 0.8, 50, 0.9, 9) for _ in range(2))
    same = sample(**one, backend="triton") == sample(**two, backend="reference")
    # A draw within rounding of the border of two tokens may fall to either side.
    assert same.sum() >= 63


@pytest.mark.gpu
def test_the_host_never_waits_and_every_replay_draws_anew() -> None:
    arguments = _arguments(_logits(3, 8, 1000), 1.0, 0, 1.0, 1)
    sample(**arguments)
    graph = torch.cuda.CUDAGraph()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.graph(graph):
            tokens = sample(**arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    drawn = []
    for _ in range(4):
        graph.replay()
        drawn.append(tuple(tokens.tolist()))
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_equal_logits_are_kept_or_dropped_together(backend: str) -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, 2.0, -0.0, 0.0]]).repeat(5, 1)
    few = set(sample(**_arguments(logits, 9.0, 2, 1.0, 30), backend=backend).tolist())
    assert few == {1, 2, 3}
    every = set(sample(**_arguments(logits, 9.0, 5, 1.0, 30), backend=backend).tolist())
    assert {4, 5} <= every


def test_frequencies_are_the_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0, 0.5, 2.0, -3.0]])
    draws = 20_000
    tokens = sample(**_arguments(logits.repeat(draws, 1), 0.7, 4, 1.0, 11), backend="reference")
    kept = torch.where(logits[0] >= 0, logits[0] / 0.7, -torch.inf).softmax(0)
    counts = tokens.cpu().bincount(minlength=6)
    assert counts[[2, 5]].sum() == 0
    alive = kept > 0
    statistic = ((counts - draws * kept)[alive] ** 2 / (draws * kept[alive])).sum()
    assert statistic < 16.3  # chi squared, 3 degrees, p = 0.001


def test_a_slot_alone_equals_the_slot_in_a_batch() -> None:
    arguments = _arguments(_logits(4, 5, 50), 1.0, 10, 0.9, 2)
    alone = {name: tensor[3:4].clone() for name, tensor in arguments.items()}
    together = sample(**arguments, backend="triton")
    assert sample(**alone, backend="triton").item() == together[3]


@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_an_idle_slot_gets_no_token_and_keeps_its_place(backend: str) -> None:
    arguments = _arguments(_logits(5, 3, 20), 1.0, 0, 1.0, 4)
    before = arguments["offsets"].clone()
    active = torch.tensor([True, False, True], device=DEVICE)
    tokens = sample(**arguments, active=active, backend=backend)
    assert tokens[1] == -1
    assert (tokens[[0, 2]] >= 0).all()
    assert (arguments["offsets"] - before).tolist() == [1, 0, 1]


def test_wrong_arguments_are_refused_before_launch() -> None:
    good = _arguments(_logits(6, 3, 20), 1.0, 0, 1.0, 4)
    with pytest.raises(ShapeError, match="top_p"):
        sample(**{**good, "top_p": good["top_p"][:2]})
    with pytest.raises(ShapeError, match="logits"):
        sample(**{**good, "logits": good["logits"][0]})
    with pytest.raises(DtypeError, match="top_k"):
        sample(**{**good, "top_k": good["top_k"].long()})
    with pytest.raises(DtypeError, match="offsets"):
        sample(**{**good, "offsets": good["offsets"].int()})
