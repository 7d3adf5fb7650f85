from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duplex_agent.voice.config import LATENT_WIDTH, FlowConfig, MouthConfig
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.reference.mouth_fsq import LEVELS, CodeMouth, from_codes, to_codes

_TINY = MouthConfig(
    width=32, layers=1, heads=2, feed_forward=48, window=6, phone_width=8, thinker_width=16,
    flow=FlowConfig(width=24, blocks=1),
)  # fmt: skip


def _mouth() -> CodeMouth:
    torch.manual_seed(0)
    mouth = CodeMouth(_TINY).eval()
    for parameter in mouth.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return mouth


@settings(deadline=None)
@given(arrays(np.float32, 48, elements=st.floats(-3.5, 3.5, width=32)))
def test_rounding_moves_a_token_by_half_a_level_at_most_and_codes_survive(
    values: np.ndarray,
) -> None:
    token = torch.from_numpy(values)
    codes = to_codes(token)
    assert float((from_codes(codes) - token).abs().max()) <= 3.5 / (LEVELS - 1) + 1e-5
    assert torch.equal(to_codes(from_codes(codes)), codes)


def test_tokens_beyond_the_levels_take_the_outermost_ones() -> None:
    assert to_codes(torch.tensor([-100.0, 0.0, 100.0])).tolist() == [0, LEVELS // 2, LEVELS - 1]


@torch.inference_mode()
def test_codes_are_drawn_as_often_as_the_head_says() -> None:
    mouth = _mouth()
    condition = torch.randn(1, _TINY.width + LATENT_WIDTH).expand(4000, -1)
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(4000, LATENT_WIDTH, generator=rng)
    drawn = to_codes(mouth.sample(condition, noise, steps=1))
    known = torch.zeros(1, dtype=torch.long)
    wanted = mouth.logits(torch.zeros(1, LATENT_WIDTH), condition[:1], known)[0].softmax(dim=-1)
    found = torch.nn.functional.one_hot(drawn, LEVELS).float().mean(dim=0)
    # Three standard errors of the likeliest level, with room for 1,488 of them.
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0)
    middle = mouth.sample(condition[:1], torch.zeros(1, LATENT_WIDTH), steps=1)
    below = wanted.cumsum(dim=-1)
    assert torch.equal(to_codes(middle)[0], (below < 0.5).sum(dim=-1))


@torch.inference_mode()
def test_a_later_round_knows_what_the_earlier_ones_drew_and_reads_nothing_else() -> None:
    mouth = _mouth()
    condition = torch.randn(2, _TINY.width + LATENT_WIDTH)
    known = torch.full((2,), 24)
    token = torch.randn(2, LATENT_WIDTH)
    logits = mouth.logits(token, condition, known)
    hidden, seen = token.clone(), token.clone()
    hidden[:, 24:] = 9.0
    seen[:, 0] = 3.0
    assert torch.equal(mouth.logits(hidden, condition, known), logits)
    assert not torch.allclose(mouth.logits(seen, condition, known), logits)
    noise = torch.randn(2, LATENT_WIDTH)
    one, two = (mouth.sample(condition, noise, steps) for steps in (1, 2))
    assert torch.equal(one[:, :24], two[:, :24])
    assert not torch.equal(one[:, 24:], two[:, 24:])


@torch.inference_mode()
def test_two_voices_in_a_batch_draw_the_codes_they_draw_alone() -> None:
    mouth = _mouth()
    slots, thinker = torch.rand(2, 12, len(PHONES)), torch.randn(2, 16)
    noise = torch.randn(2, LATENT_WIDTH)
    state = replace(mouth.new_state(2), previous=from_codes(torch.randint(LEVELS, (2, 48))))
    both, after = mouth.step(slots, thinker, noise, state, steps=4)
    alone = replace(mouth.new_state(), previous=state.previous[1:])
    one, _ = mouth.step(slots[1:], thinker[1:], noise[1:], alone, steps=4)
    torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=0)
    assert torch.equal(from_codes(to_codes(after.previous)), after.previous)
