import numpy as np

from duplex_agent.train.voice.pitch import track_pitch


def _buzz(hz: np.ndarray) -> np.ndarray:
    """Thirty equal harmonics of a gliding pitch, int16 at 24 kHz."""
    phase = 2 * np.pi * np.cumsum(hz) / 24_000
    return sum(np.cos(k * phase) for k in range(1, 31)), phase


def test_pitch_and_phase_of_a_gliding_buzz_are_found() -> None:
    hz = np.linspace(90, 180, 36_000)
    wave, phase = _buzz(hz)
    found = track_pitch((wave * 900).astype(np.int16))
    middles = (np.arange(len(found.hz)) * 240 + 120).astype(int)
    inside = slice(10, -10)
    assert found.voiced[inside].all()
    np.testing.assert_allclose(found.hz[inside], hz[middles][inside], rtol=0.02)
    # Whatever point of the period counts as its start, it is the same in every period.
    offset = np.exp(1j * (found.phase - phase[middles]))[inside]
    assert abs(offset.mean()) > 0.98


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 2000, 24_000).astype(np.int16)
    assert track_pitch(noise).voiced.mean() < 0.1
    silent = track_pitch(np.zeros(24_000, np.int16))
    assert not silent.voiced.any()
    assert np.isfinite(silent.hz).all()
