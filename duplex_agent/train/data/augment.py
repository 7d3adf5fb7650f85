"""What rooms, microphones and streets do to a clean voice, drawn for every training row."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ

Audio = NDArray[np.float32]
_QUIET_RMS: Final = 1e-4
_PACKET: Final = USER_RATE_HZ // 50  # 20 ms


def change_speed(pcm: Audio, factor: float) -> Audio:
    """Play ``factor`` times faster: shorter, and higher in pitch and formants."""
    positions = np.arange(0, len(pcm) - 1, factor, dtype=np.float64)
    return np.interp(positions, np.arange(len(pcm)), pcm).astype(np.float32)


def coloured_noise(samples: int, slope: float, rng: np.random.Generator) -> Audio:
    """Noise whose power falls with frequency to the ``slope``: 0 white, 1 pink, 2 brown; RMS 1."""
    spectrum = rng.standard_normal(samples // 2 + 1) + 1j * rng.standard_normal(samples // 2 + 1)
    spectrum /= np.maximum(np.arange(samples // 2 + 1), 8) ** (slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return (noise / noise.std()).astype(np.float32)


def _room(rng: np.random.Generator) -> Audio:
    """An impulse response: the direct sound and an exponentially dying tail of noise."""
    seconds = rng.uniform(0.1, 0.5)
    steps = np.arange(int(seconds * USER_RATE_HZ))
    tail = rng.standard_normal(len(steps)) * np.exp(-6.9 * steps / len(steps))
    tail[: int(0.002 * USER_RATE_HZ)] = 0.0
    tail *= rng.uniform(0.1, 0.6) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def _filter_gains(bins: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Spectral gains of a random microphone: tilt, sometimes a telephone band or a deaf band."""
    hertz = np.linspace(0.0, USER_RATE_HZ / 2, bins)
    gains = 10.0 ** (rng.uniform(-6, 6) / 20 * (hertz / 4000 - 1))
    if rng.random() < 0.2:
        low, high = rng.uniform(50, 350), rng.uniform(3300, 6500)
        gains *= 1 / (1 + (low / np.maximum(hertz, 1)) ** 6) / (1 + (hertz / high) ** 12)
    if rng.random() < 0.3:
        centre = rng.uniform(200, 6000)
        gains[np.abs(hertz - centre) < rng.uniform(0.03, 0.12) * (centre + 500)] *= 0.1
    return gains


def _mu_law(audio: Audio) -> Audio:
    """What a telephone's 8-bit codec (ITU-T G.711) leaves of ``audio``."""
    squeezed = np.sign(audio) * np.log1p(255 * np.minimum(np.abs(audio), 1)) / np.log(256)
    levels = np.round(squeezed * 127) / 127
    return (np.sign(levels) * np.expm1(np.abs(levels) * np.log(256)) / 255).astype(np.float32)


def _lose_packets(audio: Audio, rng: np.random.Generator) -> Audio:
    """Some packets of 20 ms are silent, or the one before them again at half its level."""
    whole = len(audio) // _PACKET * _PACKET
    packets = audio[:whole].reshape(-1, _PACKET).copy()
    level = rng.choice([0.0, 0.5])
    for lost in np.flatnonzero(rng.random(len(packets)) < rng.uniform(0.01, 0.1)):
        packets[lost] = level * packets[lost - 1] if lost else 0.0
    return np.concatenate([packets.reshape(-1), audio[whole:]])


def _transmit(audio: Audio, rng: np.random.Generator) -> Audio:
    """What levels, codecs and networks do on the way; peaks below 1."""
    peak = max(float(np.abs(audio).max()), _QUIET_RMS)
    audio = (audio / peak).astype(np.float32)
    if rng.random() < 0.1:
        audio = np.clip(audio * rng.uniform(1.5, 8.0), -1.0, 1.0)
    audio = audio * np.float32(10 ** (-rng.uniform(0.5, 26) / 20))
    if rng.random() < 0.15:
        audio = _mu_law(audio)
    if rng.random() < 0.1:
        audio = _lose_packets(audio, rng)
    return audio


def record(speech: Audio, babble: Audio, rng: np.random.Generator) -> Audio:
    """``speech`` as it arrives from some microphone in some room; same length, peaks below 1.

    ``babble`` (same length) are other people; they are mixed in now and then.
    """
    samples = len(speech)
    size = samples + USER_RATE_HZ // 2
    spectrum = np.fft.rfft(speech, size) * _filter_gains(size // 2 + 1, rng)
    if rng.random() < 0.3:
        spectrum *= np.fft.rfft(_room(rng), size)
    heard = np.fft.irfft(spectrum, size)[:samples]
    loud = heard[np.abs(heard) > 0.1 * max(float(np.abs(heard).max()), _QUIET_RMS)]
    level = float(np.sqrt(np.mean(loud**2))) if len(loud) else _QUIET_RMS
    if rng.random() < 0.6:
        noise = coloured_noise(samples, rng.choice([0.0, 1.0, 1.5, 2.0]), rng)
        heard = heard + noise * max(level, 0.02) * 10 ** (-rng.uniform(5, 30) / 20)
    if rng.random() < 0.1:
        power = max(float(babble.std()), _QUIET_RMS)
        heard = heard + babble / power * max(level, 0.02) * 10 ** (-rng.uniform(12, 30) / 20)
    return _transmit(heard.astype(np.float32), rng)
