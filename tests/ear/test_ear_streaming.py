"""The streaming pass of the ear's parts against their offline pass."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.encoder_config import CHARACTERS, FEATURES_PER_TICK, EarConfig
from duplex_agent.ear.encoder_graph import tick_graph
from duplex_agent.ear.encoder_weights import EncoderWeights
from duplex_agent.ear.full_context import SILENCE_TICKS
from duplex_agent.ear.hearing import HeardWord
from duplex_agent.ear.prepared import silence_features
from duplex_agent.ear.reference.encoder import EarEncoder
from duplex_agent.ear.streaming import StreamingEar, decode_characters
from duplex_agent.ear.tick_encoder import TickEncoder
from duplex_agent.ear.transcriber import Transcriber
from duplex_agent.ear.utterance import Word
from duplex_agent.ear.whisper_decoder import Subword
from duplex_agent.errors import AudioError
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.runtime.torch_checkpoint import parameters

SMALL = EarConfig(width=64, heads=2, depth=4, context_ticks=50, positions=400)
TICKS = 88  # Seven seconds: more than the four that a layer remembers, and positions wrap.


@pytest.fixture(scope="module", params=[1, 2, 4])
def encoder(request: pytest.FixtureRequest) -> EarEncoder:
    torch.manual_seed(0)
    return EarEncoder(SMALL, look_ahead_ticks=request.param).eval()


@pytest.fixture(scope="module")
def talkative(encoder: EarEncoder) -> EarEncoder:
    """The same encoder with a head that says many characters and spaces."""
    loud = copy.deepcopy(encoder)
    torch.nn.init.normal_(loud.characters[-1].weight, std=1.0)
    return loud


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    loudness = torch.linspace(0, 20, TICKS * USER_TICK_SAMPLES).sin() ** 2
    return 0.1 * loudness * torch.randn(2, TICKS * USER_TICK_SAMPLES, generator=generator)


def in_ticks(encoder: EarEncoder, precision: Precision) -> TickEncoder:
    ahead = encoder.look_ahead_ticks
    graph = tick_graph(EncoderWeights(parameters(encoder), SMALL), ahead, precision)
    return TickEncoder(graph, ahead, SMALL)


def stream(clock: TickEncoder, sound: torch.Tensor, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and characters of one recording [n], heard tick by tick."""
    state = replace(clock.new_state(), offset=offset)
    ahead = clock.look_ahead_ticks
    ticks = torch.cat([sound, sound.new_zeros(ahead * USER_TICK_SAMPLES)]).split(USER_TICK_SAMPLES)
    features, characters = [], []
    for tick in ticks:
        state, found, spelled = clock.step(state, tick.numpy())
        features.append(found)
        characters.append(spelled)
    return np.concatenate(features[ahead:]), np.concatenate(characters[ahead:])


@torch.inference_mode()
@pytest.mark.parametrize("offset", [0, 390])
def test_tick_by_tick_equals_the_whole_recording(encoder, sound, offset):
    whole = encoder(sound[:1], torch.tensor([offset]))
    features, characters = stream(in_ticks(encoder, "fp32"), sound[0], offset)
    assert features.shape == (TICKS * FEATURES_PER_TICK, SMALL.width)
    np.testing.assert_allclose(features, whole[0], atol=2e-4)
    np.testing.assert_allclose(characters, encoder.logits(whole)[0], atol=2e-4)


@torch.inference_mode()
def test_silence_has_the_features_of_a_silent_recording(encoder):
    silent = encoder(torch.zeros(1, SILENCE_TICKS * USER_TICK_SAMPLES))[0]
    np.testing.assert_allclose(silence_features(in_ticks(encoder, "fp32")), silent, atol=2e-4)


@torch.inference_mode()
def test_eight_bit_products_stay_close_to_full_precision(encoder, sound):
    exact, _ = stream(in_ticks(encoder, "fp32"), sound[0], 0)
    rounded, _ = stream(in_ticks(encoder, "int8"), sound[0], 0)
    assert np.square(exact - rounded).mean() < 1e-3 * exact.var()


@torch.inference_mode()
def test_features_depend_on_the_look_ahead_and_not_more(encoder, sound):
    changed = sound.clone()
    changed[:, 40 * USER_TICK_SAMPLES :] = 0.0
    difference = (encoder(sound) - encoder(changed)).abs().amax((0, 2))
    by_tick = difference.unflatten(0, (-1, FEATURES_PER_TICK)).amax(1)
    assert by_tick[: 40 - encoder.look_ahead_ticks].max() == 0.0
    assert by_tick[40 - encoder.look_ahead_ticks] > 0.0


class CharacterDecoder:
    """Decodes a character for every second tick: even an untrained head hears something."""

    def cross_attention(self, features: np.ndarray) -> np.ndarray:
        return features

    def decode(
        self, attended: Sequence[np.ndarray], prefix: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> list[Subword]:
        ticks = sum(map(len, attended[:-1])) // FEATURES_PER_TICK
        ids = range(len(prefix), ticks // 2)
        return [Subword(i, ((f" {chr(97 + i % 26)}", 1.0),)) for i in ids]


SILENCE = np.zeros((8, SMALL.width), np.float32)


class CharacterTokenizer:
    """Every word is its characters: token 0 is a space, then a to z."""

    def encode(self, text: str) -> list[int]:
        return [0 if c == " " else ord(c) - ord("a") + 1 for c in text.lower()]


TABLE = np.random.default_rng(0).normal(size=(27, 32)).astype(np.float32)


def small_ear(encoder: EarEncoder) -> StreamingEar:
    return StreamingEar(
        in_ticks(encoder, "int8"),
        Transcriber(CharacterDecoder(), SILENCE),
        CharacterTokenizer(),
        TABLE.__getitem__,
    )


def hear(ear: StreamingEar, state, pcm: np.ndarray) -> list[HeardWord]:
    ticks = [ear.step(state, tick) for tick in pcm.reshape(-1, USER_TICK_SAMPLES)]
    return [word for hearing in ticks for word in hearing.words]


def same(a: list[HeardWord], b: list[HeardWord]) -> bool:
    return len(a) == len(b) and all(
        (x.text, x.first_tick, x.last_tick) == (y.text, y.first_tick, y.last_tick)
        and np.array_equal(x.embeddings, y.embeddings)
        for x, y in zip(a, b, strict=True)
    )


def test_a_cloned_state_goes_its_own_way(talkative, sound):
    ear = small_ear(talkative)
    pcm = sound[0, : 60 * USER_TICK_SAMPLES].numpy()
    half = 30 * USER_TICK_SAMPLES
    state = ear.new_state()
    hear(ear, state, pcm[:half])
    copied = state.clone()
    hear(ear, copied, 0.3 * pcm[:half])
    again = ear.new_state()
    hear(ear, again, pcm[:half])
    straight = hear(ear, again, pcm[half:])
    assert straight
    assert same(hear(ear, state, pcm[half:]), straight)
    assert copied.spelled != state.spelled


def test_flush_gives_what_silence_would_have_given(talkative, sound):
    ear = small_ear(talkative)
    pcm = sound[0, : 40 * USER_TICK_SAMPLES].numpy()
    flushed, waited = ear.new_state(), ear.new_state()
    hear(ear, flushed, pcm)
    hear(ear, waited, pcm)
    left = ear.flush(flushed)
    silence = np.zeros(len(left) * USER_TICK_SAMPLES, np.float32)
    assert same([word for hearing in left for word in hearing.words], hear(ear, waited, silence))


def test_an_uncertain_word_is_a_mixture_of_equally_long_alternatives_mostly_the_likeliest(encoder):
    ear = small_ear(encoder)
    mixed = ear.embed(Word(((" a", 0.6), (" b", 0.2), (" to", 0.2)), 0, 0))
    assert np.allclose(mixed[0], TABLE[0])
    # Probabilities of 3 : 1 are sharpened with exponent 3.
    assert np.allclose(mixed[1], (27 * TABLE[1] + TABLE[2]) / 28)


@pytest.mark.parametrize(
    "pcm",
    [np.zeros(1279, np.float32), np.full(USER_TICK_SAMPLES, np.nan, np.float32)],
    ids=["short", "nan"],
)
def test_unusable_audio_is_refused_and_changes_nothing(talkative, sound, pcm):
    ear = small_ear(talkative)
    ticks = sound[0, : 40 * USER_TICK_SAMPLES].numpy()
    state = ear.new_state()
    before = copy.deepcopy(state)
    with pytest.raises(AudioError):
        ear.step(state, pcm)
    assert same(hear(ear, state, ticks), hear(ear, before, ticks))


def test_characters_repeat_only_across_a_blank():
    symbols = [0, 8, 8, 5, 12, 12, 0, 12, 15, 15, 28, 0]
    spelled = torch.full((len(symbols), len(CHARACTERS)), -9.0)
    spelled[range(len(symbols)), symbols] = 0.0
    assert decode_characters(spelled.numpy())[0] == "hello "
    first, last = decode_characters(spelled[:5].numpy())
    assert first + decode_characters(spelled[5:].numpy(), last)[0] == "hello "
