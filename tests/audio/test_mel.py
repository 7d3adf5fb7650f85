"""The log-mel frames: in ticks as at once, and as PyTorch's form makes them for training."""

import numpy as np
import pytest
import torch

from duplex_agent.audio.mel import FRAMES_PER_TICK, MELS, TAIL_SAMPLES, log_mel
from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.ear.reference.mel import log_mel as reference

TICKS = 20


@pytest.fixture
def sound() -> np.ndarray:
    """Bursts of noise and a chirp, between silences."""
    rng = np.random.default_rng(0)
    seconds = np.arange(TAIL_SAMPLES + TICKS * USER_TICK_SAMPLES) / USER_RATE_HZ
    chirp = np.sin(2 * np.pi * 800 * seconds**2) * (seconds > 0.4)
    noise = rng.normal(0, 0.1, len(seconds)) * (np.sin(7 * seconds) > 0)
    return (0.5 * chirp + noise).astype(np.float32)


def test_a_tick_gives_eight_frames_that_are_those_of_the_whole_sound(sound):
    whole = log_mel(sound)
    assert whole.dtype == np.float32
    assert whole.shape == (TICKS * FRAMES_PER_TICK, MELS)
    for tick in range(TICKS):
        start = tick * USER_TICK_SAMPLES
        frames = log_mel(sound[start : start + TAIL_SAMPLES + USER_TICK_SAMPLES])
        expected = whole[tick * FRAMES_PER_TICK :][:FRAMES_PER_TICK]
        np.testing.assert_allclose(frames, expected, atol=1e-5)


def test_training_sees_the_same_frames(sound):
    rows = np.stack([sound, 0.01 * sound[::-1]])
    frames = reference(torch.from_numpy(rows.copy()))
    # Single precision: beside a loud band a soft one is off by a few units in its fifth digit.
    np.testing.assert_allclose(log_mel(rows), frames.numpy(), atol=5e-5)


# 1 kHz is 15 mel and 4 kHz 35.2; the centres of 80 bands share the 45.2 mel up to 8 kHz.
@pytest.mark.parametrize(("tone_hz", "band"), [(1000, 26), (4000, 62)])
def test_a_tone_is_loudest_in_the_band_around_it(tone_hz, band):
    phase = 2 * np.pi * tone_hz / USER_RATE_HZ * np.arange(TAIL_SAMPLES + USER_TICK_SAMPLES)
    frames = log_mel((0.5 * np.sin(phase)).astype(np.float32))
    assert set(frames.argmax(1)) == {band}


def test_silence_lies_on_the_floor():
    assert np.array_equal(log_mel(np.zeros(1640, np.float32)), np.full((8, MELS), -0.5))
