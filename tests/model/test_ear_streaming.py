"""The streaming pass of the ear's parts against their offline pass."""

import copy

import numpy as np
import pytest
import torch

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.errors import AudioError
from duplex_agent.model.adapter import Adapter, AdapterConfig
from duplex_agent.model.ear import CHARACTERS, FEATURES_PER_TICK, EarConfig, EarEncoder
from duplex_agent.model.ear_stream import EarToken, StreamingEar, decode_characters

SMALL = EarConfig(width=64, heads=2, depth=4, context_ticks=50, positions=400)
TICKS = 88  # Seven seconds: more than the four that a layer remembers, and positions wrap.


def small_adapter() -> Adapter:
    return Adapter(
        AdapterConfig(
            width=64, heads=2, depth=2, window_ticks=20, feature_width=64, token_width=32
        )
    ).eval()


@pytest.fixture(scope="module")
def encoder() -> EarEncoder:
    torch.manual_seed(0)
    return EarEncoder(SMALL).eval()


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    loudness = torch.linspace(0, 20, TICKS * USER_TICK_SAMPLES).sin() ** 2
    return 0.1 * loudness * torch.randn(2, TICKS * USER_TICK_SAMPLES, generator=generator)


def stream(encoder: EarEncoder, sound: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    state = encoder.new_state(len(sound))
    state.offset = offset
    silence = sound.new_zeros(len(sound), encoder.look_ahead_ticks * USER_TICK_SAMPLES)
    ticks = torch.cat([sound, silence], dim=1).split(USER_TICK_SAMPLES, dim=1)
    return torch.cat([encoder.step(state, tick) for tick in ticks][encoder.look_ahead_ticks :], 1)


@torch.inference_mode()
def test_tick_by_tick_equals_the_whole_recording(encoder, sound):
    offset = torch.tensor([0, 390])
    whole = encoder(sound, offset)
    assert whole.shape == (2, TICKS * FEATURES_PER_TICK, SMALL.width)
    assert (stream(encoder, sound, offset) - whole).abs().max() < 1e-4


@torch.inference_mode()
def test_features_depend_on_320_ms_ahead_and_not_more(encoder, sound):
    changed = sound.clone()
    changed[:, 40 * USER_TICK_SAMPLES :] = 0.0
    difference = (encoder(sound) - encoder(changed)).abs().amax((0, 2))
    by_tick = difference.unflatten(0, (-1, FEATURES_PER_TICK)).amax(1)
    assert by_tick[: 40 - encoder.look_ahead_ticks].max() == 0.0
    assert by_tick[40 - encoder.look_ahead_ticks] > 0.0


@torch.inference_mode()
def test_a_conversation_in_a_batch_hears_what_it_hears_alone(encoder, sound):
    together = encoder.new_state(2)
    alone = encoder.new_state(1)
    # The second conversation of the batch begins five ticks later than the first.
    for tick in range(5):
        encoder.step(together, sound[:, tick * USER_TICK_SAMPLES : (tick + 1) * USER_TICK_SAMPLES])
    for name in ("tick", "pcm_tail", "mel_tail", "conv_tail"):
        getattr(together, name)[1] = 0
    for rows in (together.waiting, together.keys, together.values):
        for row in rows:
            row[1] = 0
    for tick in range(5, TICKS):
        part = sound[:, tick * USER_TICK_SAMPLES : (tick + 1) * USER_TICK_SAMPLES]
        both, one = encoder.step(together, part), encoder.step(alone, part[1:])
    assert (both[1:] - one).abs().max() < 1e-4


@torch.inference_mode()
def test_the_adapter_steps_as_it_was_trained():
    torch.manual_seed(0)
    adapter = small_adapter()
    torch.nn.init.normal_(adapter.features_in.weight, std=0.1)
    spelled = torch.rand(2, 50, 4 * len(CHARACTERS))
    features, previous = torch.randn(2, 50, 256), torch.randn(2, 50, 32)
    gates, queries = adapter(spelled, features, previous)
    state = adapter.new_state(2)
    for tick in range(50):
        state.previous = previous[:, tick]
        gate, query = adapter.step(state, spelled[:, tick], features[:, tick])
        assert (gate - gates[:, tick]).abs().max() < 1e-4
        assert (query - queries[:, tick]).abs().max() < 1e-4


def small_ear(encoder: EarEncoder) -> StreamingEar:
    torch.manual_seed(3)
    adapter = small_adapter()
    # Every tick is heard, so that every tick can differ.
    torch.nn.init.constant_(adapter.gate.bias, 50.0)
    table = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
    return StreamingEar(encoder, adapter, table, [f" p{i}" for i in range(40)])


def hear(ear: StreamingEar, state, pcm: np.ndarray) -> list[EarToken]:
    return [ear.step(state, tick) for tick in pcm.reshape(-1, USER_TICK_SAMPLES)]


def same(a: list[EarToken], b: list[EarToken]) -> bool:
    return len(a) == len(b) and all(
        x.piece == y.piece and np.array_equal(x.embedding, y.embedding)
        for x, y in zip(a, b, strict=True)
    )


def test_a_cloned_state_goes_its_own_way(encoder, sound):
    ear = small_ear(encoder)
    pcm = sound[0, : 20 * USER_TICK_SAMPLES].numpy()
    state = ear.new_state()
    hear(ear, state, pcm[: 10 * USER_TICK_SAMPLES])
    copied = state.clone()
    guess = hear(ear, copied, pcm[5 * USER_TICK_SAMPLES : 15 * USER_TICK_SAMPLES])
    straight = hear(ear, state, pcm[10 * USER_TICK_SAMPLES :])
    again = ear.new_state()
    assert same(hear(ear, again, pcm)[10:], straight)
    assert not same(guess, straight)


def test_flush_gives_what_silence_would_have_given(encoder, sound):
    ear = small_ear(encoder)
    pcm = sound[0, : 12 * USER_TICK_SAMPLES].numpy()
    flushed, waited = ear.new_state(), ear.new_state()
    hear(ear, flushed, pcm)
    hear(ear, waited, pcm)
    silence = np.zeros(ear.look_ahead_ticks * USER_TICK_SAMPLES, np.float32)
    assert same(ear.flush(flushed), hear(ear, waited, silence))


def test_a_heard_token_lies_among_the_thinkers_embeddings(encoder, sound):
    ear = small_ear(encoder)
    tokens = hear(ear, ear.new_state(), sound[0, : 12 * USER_TICK_SAMPLES].numpy())
    heard = [token for token in tokens if token.heard]
    assert len(heard) == 12 - ear.look_ahead_ticks
    for token in heard:
        assert token.embedding.shape == (32,)
        assert token.piece.startswith(" p")
        # A mixture is never longer than the longest of what is mixed.
        assert np.linalg.norm(token.embedding) <= ear._table.norm(dim=1).max() + 1e-5


@pytest.mark.parametrize(
    "pcm",
    [np.zeros(1279, np.float32), np.full(USER_TICK_SAMPLES, np.nan, np.float32)],
    ids=["short", "nan"],
)
def test_unusable_sound_is_refused_and_changes_nothing(encoder, sound, pcm):
    ear = small_ear(encoder)
    ticks = sound[0, : 8 * USER_TICK_SAMPLES].numpy()
    state = ear.new_state()
    before = copy.deepcopy(state)
    with pytest.raises(AudioError):
        ear.step(state, pcm)
    assert same(hear(ear, state, ticks), hear(ear, before, ticks))


def test_letters_repeat_only_across_a_blank():
    symbols = [0, 8, 8, 5, 12, 12, 0, 12, 15, 15, 28, 0]
    spelled = torch.full((len(symbols), len(CHARACTERS)), -9.0)
    spelled[range(len(symbols)), symbols] = 0.0
    assert decode_characters(spelled)[0] == "hello "
    first, last = decode_characters(spelled[:5])
    assert first + decode_characters(spelled[5:], last)[0] == "hello "
