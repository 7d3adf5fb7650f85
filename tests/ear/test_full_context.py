"""The encoder of the full-context pass."""

import numpy as np
import pytest
import torch

from duplex_agent.ear.encoder_config import EarConfig
from duplex_agent.ear.encoder_graph import full_context_graph
from duplex_agent.ear.encoder_weights import EncoderWeights, between
from duplex_agent.ear.full_context import FullContext
from duplex_agent.ear.reference.encoder import EarEncoder
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime.torch_checkpoint import parameters

CONFIG = EarConfig(width=64, heads=2, depth=2)


@pytest.fixture(scope="module")
def encoder() -> EarEncoder:
    torch.manual_seed(0)
    return EarEncoder(CONFIG, look_ahead_ticks=0).eval()


@pytest.fixture(scope="module")
def weights(encoder: EarEncoder) -> EncoderWeights:
    return EncoderWeights(parameters(encoder), CONFIG)


@pytest.fixture(scope="module")
def full_context(weights: EncoderWeights) -> FullContext:
    return FullContext(full_context_graph(weights, "fp32"), CONFIG)


@pytest.mark.parametrize("ticks", [1, 7, 60])
def test_the_graph_equals_the_encoder_with_full_context(encoder, full_context, ticks):
    sound = np.random.default_rng(ticks).normal(0, 0.1, (ticks, 1280)).astype(np.float32)
    with torch.inference_mode():
        wanted = encoder(torch.from_numpy(sound.reshape(1, -1)), full_context=True)[0].numpy()
    np.testing.assert_allclose(full_context.features(list(sound)), wanted, atol=2e-4)


def test_the_first_features_depend_on_the_last_audio(full_context):
    sound = np.zeros((30, 1280), np.float32)
    ended = sound.copy()
    ended[-1] = 0.5
    before, after = full_context.features(list(sound)), full_context.features(list(ended))
    assert np.abs(before[0] - after[0]).max() > 1e-4


def test_its_weights_lie_between_whispers_and_the_ears(weights):
    own = weights.arrays
    whisper = {k: np.zeros_like(v) for k, v in own.items() if not k.startswith("characters")}
    mixed = between(weights, whisper, weight=0.25).arrays
    assert all(np.allclose(mixed[name], 0.25 * own[name]) for name in whisper)
    assert all(np.array_equal(mixed[name], own[name]) for name in own.keys() - whisper.keys())


def test_an_encoder_of_another_size_is_refused(weights):
    with pytest.raises(CheckpointError, match=r"the ear's encoder and Whisper's differ in .*conv1"):
        between(weights, {"conv1.bias": np.zeros(65, np.float32)}, weight=0.5)
