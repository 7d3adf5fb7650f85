"""Voice activity detectors: human speech is found, silence and noise are not, state is data."""

import numpy as np
import pytest
from numpy.typing import NDArray
from vowels import vowels

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.duplex.vad import MixedVad, SileroVad, Vad, WebRtcVad

Sound = NDArray[np.float32]


def buzz(ticks: int, seed: int = 0) -> Sound:
    return vowels(ticks * USER_TICK_SAMPLES, seed=seed)


def probabilities(vad: Vad, sound: Sound) -> list[float]:
    return [vad.step(tick) for tick in sound.reshape(-1, USER_TICK_SAMPLES)]


def mixed() -> MixedVad:
    return MixedVad([(3.0, SileroVad()), (1.0, WebRtcVad())])


@pytest.mark.assets
@pytest.mark.parametrize("make", [SileroVad, WebRtcVad, mixed])
def test_speech_is_told_from_silence(make: type[Vad]) -> None:
    silence = np.zeros(20 * USER_TICK_SAMPLES, dtype=np.float32)
    levels = probabilities(make(), np.concatenate([silence, buzz(20), silence]))
    assert max(levels[:20]) < 0.35
    assert np.mean(np.array(levels[22:40]) > 0.5) > 0.8
    assert max(levels[46:]) < 0.35


@pytest.mark.assets
def test_soft_noise_is_not_speech_to_the_mixture() -> None:
    noise = 0.01 * np.random.default_rng(1).standard_normal(50 * USER_TICK_SAMPLES)
    assert max(probabilities(mixed(), noise.astype(np.float32))) < 0.5


@pytest.mark.assets
def test_silero_keeps_the_remainder_between_ticks() -> None:
    """Tick by tick equals the network run window by window over the whole sound."""
    sound = buzz(16)
    vad = SileroVad()
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
    windows = []
    for window in sound.reshape(-1, 512):
        feed = {"input": np.concatenate([context, window])[None], "state": state}
        output, state = vad._network.run(None, feed | {"sr": np.array(16_000)})
        windows.append(float(output[0, 0]))
        context = window[-64:]
    expected = []
    for tick in range(16):
        done = slice(tick * 1280 // 512, (tick + 1) * 1280 // 512)
        expected.append(max(windows[done]))
    np.testing.assert_allclose(probabilities(vad, sound), expected, atol=1e-6)


@pytest.mark.assets
@pytest.mark.parametrize("make", [SileroVad, WebRtcVad, mixed])
def test_a_clone_goes_on_alone_and_reset_forgets(make: type[Vad]) -> None:
    vad = make()
    first = probabilities(vad, buzz(13))
    twin = vad.clone()
    assert probabilities(twin, buzz(9, seed=1)) == probabilities(vad, buzz(9, seed=1))
    vad.reset()
    assert probabilities(vad, buzz(13)) == first


def test_a_mixture_needs_parts() -> None:
    with pytest.raises(ValueError, match="weights"):
        MixedVad([])
