"""Damage put into a sound is found, and nothing is found in a sound without."""

import numpy as np
import pytest
from duplex_evals.speech.integrity import clipped, dropouts, integrity, loops
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

RATE = 24_000
TICK = RATE * 80 // 1000
Audio = NDArray[np.float32]


def voice(seconds: float = 1.0, seed: int = 0) -> Audio:
    """A gliding harmonic tone with breath: alike from period to period, never equal."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(110 + 20 * np.sin(2 * np.pi * 1.3 * time)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.1 * tone + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def test_a_clean_voice_has_no_damage() -> None:
    fade = np.minimum(1, np.arange(RATE)[::-1] / 2400).astype(np.float32)
    found = integrity(np.concatenate([np.zeros(TICK, np.float32), voice() * fade]), RATE)
    assert found is not None
    assert (found.dropouts, found.loops, found.clipped, found.cut_off) == (0, 0, 0.0, False)
    assert found.leading_ms == pytest.approx(80, abs=1)


def test_silence_has_no_integrity() -> None:
    assert integrity(np.zeros(RATE, np.float32), RATE) is None


@settings(max_examples=30, deadline=None)
@given(start=st.integers(TICK, RATE - 6 * TICK), length_ms=st.integers(6, 380))
def test_a_hole_of_zeros_is_one_dropout(start: int, length_ms: int) -> None:
    audio = voice(2.0)
    audio[start : start + length_ms * RATE // 1000] = 0
    assert dropouts(audio, RATE) == 1


def test_a_pause_is_no_dropout() -> None:
    audio = voice(2.0)
    audio[RATE : RATE + RATE // 2] = 0
    assert dropouts(audio, RATE) == 0


@pytest.mark.parametrize("lag_ms", [20, 80])
def test_a_repeated_packet_or_tick_is_a_loop(lag_ms: int) -> None:
    audio, lag = voice(), lag_ms * RATE // 1000
    first = audio[RATE // 2 : RATE // 2 + lag]
    repeats = -(-160 // lag_ms)
    audio = np.concatenate([audio[: RATE // 2], *[first] * (repeats + 1), audio[RATE // 2 + lag :]])
    assert loops(audio, RATE) >= 1


def test_clipping_counts_runs_at_full_scale() -> None:
    audio = voice()
    audio[100:103] = 1.0
    audio[200] = 1.0  # a single peak is no clipping
    assert clipped(audio) == pytest.approx(3 / RATE)


def test_a_loud_end_is_cut_off() -> None:
    found = integrity(voice(0.5), RATE)
    assert found is not None
    assert found.cut_off
