from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.voice.config import LATENT_WIDTH, FlowConfig, MouthConfig, Sampling
from duplex_agent.voice.phone_grid import phone_occupancy
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.reference.flow import FlowHead
from duplex_agent.voice.reference.mouth import Mouth

_TINY = MouthConfig(
    width=32, layers=2, heads=2, feed_forward=48, window=6, phone_width=8, thinker_width=16,
    flow=FlowConfig(width=24, blocks=2),
)  # fmt: skip


def _mouth() -> Mouth:
    torch.manual_seed(0)
    mouth = Mouth(_TINY).eval()
    for parameter in mouth.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return mouth


@torch.inference_mode()
def test_tick_by_tick_equals_the_whole_sentence_beyond_the_window() -> None:
    mouth, ticks = _mouth(), 17
    slots = torch.rand(2, ticks, 12, len(PHONES))
    previous, thinker = torch.randn(2, ticks, LATENT_WIDTH), torch.randn(2, ticks, 16)
    whole, _ = mouth.talk(slots, previous, thinker, mouth.new_state(2))
    state, pieces = mouth.new_state(2), []
    for t in range(ticks):
        at = slice(t, t + 1)
        out, state = mouth.talk(slots[:, at], previous[:, at], thinker[:, at], state)
        pieces.append(out)
        assert state.keys[0].shape[2] <= _TINY.window - 1
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_two_voices_in_a_batch_do_not_hear_each_other() -> None:
    mouth = _mouth()
    slots, thinker, noise = (
        torch.rand(2, 12, len(PHONES)),
        torch.randn(2, 16),
        torch.randn(2, LATENT_WIDTH),
    )
    state = replace(mouth.new_state(2), previous=torch.randn(2, LATENT_WIDTH))
    both, _ = mouth.step(slots, thinker, noise, state, steps=3)
    alone = replace(mouth.new_state(), previous=state.previous[1:])
    one, _ = mouth.step(slots[1:], thinker[1:], noise[1:], alone, steps=3)
    torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_tokens_leave_the_mouth_as_the_decoder_counts_them_and_stay_normalised_within() -> None:
    mouth = _mouth()
    slots, thinker, noise = torch.rand(1, 12, len(PHONES)), torch.randn(1, 16), torch.randn(1, 48)
    plain, after = mouth.step(slots, thinker, noise, mouth.new_state(), steps=2)
    mouth.latent_mean.normal_()
    mouth.latent_deviation.uniform_(0.5, 5.0)
    token, scaled = mouth.step(slots, thinker, noise, mouth.new_state(), steps=2)
    assert torch.equal(scaled.previous, after.previous)
    torch.testing.assert_close(token, plain * mouth.latent_deviation + mouth.latent_mean)
    torch.testing.assert_close(mouth.normalise(token), scaled.previous)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("sampling", "steps", "pairs"),
    [
        (Sampling.EULER, 4, [(k / 4, k / 4) for k in range(4)]),
        (Sampling.FLOW_MAP, 1, [(0.0, 1.0)]),
        (Sampling.FLOW_MAP, 2, [(0.0, 0.5), (0.5, 1.0)]),
        (Sampling.ONE_PASS, 16, [(0.0, 1.0)]),
    ],
)
def test_the_head_is_told_the_times_it_was_trained_for(
    sampling: Sampling, steps: int, pairs: list[tuple[float, float]]
) -> None:
    torch.manual_seed(1)
    head = FlowHead(8, 12, FlowConfig(width=24, blocks=2))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    head.sampling = sampling
    condition, x = torch.randn(3, 12), torch.randn(3, 8)
    found = head.sample(condition, x, steps)
    for s, t in pairs:
        x = x + head(x, condition, torch.full((3,), s), torch.full((3,), t)) / len(pairs)
    torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-4)


@settings(deadline=None)
@given(
    st.lists(st.floats(0.005, 0.4), min_size=1, max_size=20),
    st.integers(0, 30),
    st.integers(1, 40),
)
def test_every_slot_is_full_and_no_phone_is_lost(
    seconds: list[float], first: int, count: int
) -> None:
    phones = np.arange(len(seconds)) % 15
    ends = np.cumsum(seconds)
    occupancy = phone_occupancy(phones, ends, first, count)
    np.testing.assert_allclose(occupancy.sum(axis=1), 1.0, atol=1e-4)
    everything = phone_occupancy(phones, ends, 0, int(ends[-1] / 0.02) + 2)
    for phone in set(phones.tolist()):
        total = sum(s for p, s in zip(phones, seconds, strict=True) if p == phone)
        np.testing.assert_allclose(everything[:, phone].sum() * 0.02, total, atol=1e-3)
