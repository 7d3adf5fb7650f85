"""Sounds that are no speech, made from a seed: ``noise:white``, ``noise:cough``, ..."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.errors import ClipError

Audio = NDArray[np.float32]
Generator = np.random.Generator


def make_noise(name: str, samples: int, rng: Generator) -> Audio:
    """``samples`` of the named noise at 16 kHz, root mean square about 0.1.

    Raises ClipError for an unknown name.
    """
    if name not in NOISES:
        raise ClipError(f"noise:{name}: known noises are {', '.join(NOISES)}")
    audio = NOISES[name](samples, rng)
    return (audio * 0.1 / max(float(np.sqrt((audio**2).mean())), 1e-9)).astype(np.float32)


def _white(samples: int, rng: Generator) -> NDArray[np.float64]:
    return rng.standard_normal(samples)


def _pink(samples: int, rng: Generator) -> NDArray[np.float64]:
    """Power falls by 3 dB an octave from 20 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / USER_RATE_HZ)
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0)), samples))


def _hum(samples: int, rng: Generator) -> NDArray[np.float64]:
    """Mains: 50 Hz with odd harmonics."""
    time = np.arange(samples) / USER_RATE_HZ
    phases = rng.uniform(0, 2 * np.pi, 6)
    waves = [
        np.sin(2 * np.pi * 50 * n * time + p) / n
        for n, p in zip((1, 3, 5, 7, 9, 11), phases, strict=True)
    ]
    return np.asarray(np.sum(waves, axis=0) + 0.01 * rng.standard_normal(samples))


def _keys(samples: int, rng: Generator) -> NDArray[np.float64]:
    """Typing: about seven dull clicks a second."""
    audio = np.zeros(samples)
    click = rng.standard_normal(480) * np.exp(-np.arange(480) / 60)
    at = rng.integers(0, max(samples - 480, 1), max(samples * 7 // USER_RATE_HZ, 1))
    for start in at:
        end = min(start + 480, samples)
        audio[start:end] += rng.uniform(0.3, 1.0) * click[: end - start]
    return audio


def _cough(samples: int, rng: Generator) -> NDArray[np.float64]:
    """Two bursts: a sharp opening, then turbulence in the band of a vocal tract."""
    time = np.arange(samples) / USER_RATE_HZ
    envelope = np.zeros(samples)
    for start, strength in ((0.0, 1.0), (0.45 * samples / USER_RATE_HZ, 0.7)):
        since = np.maximum(time - start, 0)
        envelope += np.where(
            time >= start, strength * (1 - np.exp(-since / 0.004)) * np.exp(-since / 0.06), 0
        )
    bands = signal.butter(2, [350, 3500], "bandpass", fs=USER_RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(bands, rng.standard_normal(samples)) * envelope)


def _breath(samples: int, rng: Generator) -> NDArray[np.float64]:
    """An audible breath: soft high-passed noise that rises and falls."""
    bands = signal.butter(2, [900, 5500], "bandpass", fs=USER_RATE_HZ, output="sos")
    shape = np.sin(np.pi * np.arange(samples) / samples) ** 2
    return np.asarray(signal.sosfilt(bands, rng.standard_normal(samples)) * shape)


NOISES: Final[dict[str, Callable[[int, Generator], NDArray[np.float64]]]] = {
    "white": _white,
    "pink": _pink,
    "hum": _hum,
    "keys": _keys,
    "cough": _cough,
    "breath": _breath,
}
