"""Pitch and pace come back from sounds and texts that were made with them."""

import numpy as np
import pytest
from duplex_evals.speech.prosody import melody, words_per_second
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.clock import USER_RATE_HZ


def tone(hz: float, semitones: float = 0.0, noise: float = 0.0) -> np.ndarray:
    """A harmonic tone of one second whose pitch swings around ``hz``."""
    time = np.arange(USER_RATE_HZ) / USER_RATE_HZ
    swing = hz * 2 ** (semitones / 12 * np.sin(2 * np.pi * 2 * time))
    phase = 2 * np.pi * np.cumsum(swing) / USER_RATE_HZ
    audio = sum(np.sin(k * phase) / k for k in range(1, 10))
    breath = noise * np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * (audio + breath)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(hz=st.floats(80, 330))
def test_the_pitch_of_a_tone_comes_back(hz: float) -> None:
    found = melody(tone(hz, noise=0.1))
    assert found is not None
    # Lags are whole samples: at 330 Hz one of them is 2 %.
    assert found.median_hz == pytest.approx(hz, rel=0.02)
    assert found.voiced > 0.95


def test_a_wider_swing_is_a_wider_spread() -> None:
    monotone, lively = melody(tone(120)), melody(tone(120, semitones=4))
    assert monotone is not None
    assert lively is not None
    assert monotone.spread_semitones < 0.3
    # Half of a sine's time is spent within 0.71 of its amplitude.
    assert lively.spread_semitones == pytest.approx(2 * 0.71 * 4, rel=0.1)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(USER_RATE_HZ).astype(np.float32)
    assert melody(noise) is None
    assert melody(np.zeros(USER_RATE_HZ, np.float32)) is None


def test_numbers_count_as_the_words_that_are_spoken() -> None:
    assert words_per_second("It is 25 degrees.", 2.5) == pytest.approx(2.0)
    assert words_per_second("...", 1.0) is None
