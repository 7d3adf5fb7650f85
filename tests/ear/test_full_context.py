"""The encoder that hears a whole sentence once more."""

import numpy as np
import pytest
import torch

from duplex_agent.ear.encoder_config import EarConfig
from duplex_agent.ear.encoder_graph import whole_sound_graph
from duplex_agent.ear.encoder_weights import EncoderWeights, between
from duplex_agent.ear.full_context import SecondPass
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
def second_pass(weights: EncoderWeights) -> SecondPass:
    return SecondPass(whole_sound_graph(weights, "fp32"), CONFIG)


@pytest.mark.parametrize("ticks", [1, 7, 60])
def test_the_graph_hears_what_the_encoder_hears_with_nothing_hidden(encoder, second_pass, ticks):
    sound = np.random.default_rng(ticks).normal(0, 0.1, (ticks, 1280)).astype(np.float32)
    with torch.inference_mode():
        wanted = encoder(torch.from_numpy(sound.reshape(1, -1)), everything=True)[0].numpy()
    np.testing.assert_allclose(second_pass.features(list(sound)), wanted, atol=2e-4)


def test_the_end_of_a_sound_is_heard_from_its_beginning(second_pass):
    sound = np.zeros((30, 1280), np.float32)
    ended = sound.copy()
    ended[-1] = 0.5
    before, after = second_pass.features(list(sound)), second_pass.features(list(ended))
    assert np.abs(before[0] - after[0]).max() > 1e-4


def test_its_weights_lie_between_whispers_and_the_ears(weights):
    own = weights.arrays
    whisper = {k: np.zeros_like(v) for k, v in own.items() if not k.startswith("characters")}
    mixed = between(weights, whisper, share=0.25).arrays
    assert all(np.allclose(mixed[name], 0.25 * own[name]) for name in whisper)
    assert all(np.array_equal(mixed[name], own[name]) for name in own.keys() - whisper.keys())


def test_an_encoder_of_another_size_is_refused(weights):
    with pytest.raises(CheckpointError, match=r"the ear's encoder and Whisper's differ in .*conv1"):
        between(weights, {"conv1.bias": np.zeros(65, np.float32)}, share=0.5)
