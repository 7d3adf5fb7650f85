"""The encoder that hears a whole sentence once more."""

import numpy as np
import pytest
import torch

from duplex_agent.ear.encoder import EarConfig, EarEncoder
from duplex_agent.ear.full_context import SecondPass, between


@pytest.fixture(scope="module")
def encoder() -> EarEncoder:
    torch.manual_seed(0)
    return EarEncoder(EarConfig(width=64, heads=2, depth=2), look_ahead_ticks=0).eval()


@pytest.mark.parametrize("ticks", [1, 7, 60])
def test_the_graph_hears_what_the_encoder_hears_with_nothing_hidden(encoder, ticks):
    sound = np.random.default_rng(ticks).normal(0, 0.1, (ticks, 1280)).astype(np.float32)
    with torch.inference_mode():
        wanted = encoder(torch.from_numpy(sound.reshape(1, -1)), everything=True)[0].numpy()
    np.testing.assert_allclose(SecondPass(encoder).features(list(sound)), wanted, atol=2e-4)


def test_the_end_of_a_sound_is_heard_from_its_beginning(encoder):
    sound = np.zeros((30, 1280), np.float32)
    ended = sound.copy()
    ended[-1] = 0.5
    second_pass = SecondPass(encoder)
    before, after = second_pass.features(list(sound)), second_pass.features(list(ended))
    assert np.abs(before[0] - after[0]).max() > 1e-4


def test_its_weights_lie_between_whispers_and_the_ears(encoder):
    whisper = {
        name: torch.zeros_like(tensor)
        for name, tensor in encoder.state_dict().items()
        if not name.startswith("characters")
    }
    mixed, own = between(encoder, whisper, share=0.25).state_dict(), encoder.state_dict()
    assert all(torch.allclose(mixed[name], 0.25 * own[name]) for name in whisper)
    assert all(torch.equal(mixed[name], own[name]) for name in own.keys() - whisper.keys())
