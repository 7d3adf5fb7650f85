"""What a room, a distance or a telephone does to one item before it is placed.

The recipes for talk to others and for background speech are those of Full-Duplex-Bench 1.5
(arXiv 2507.23159). The direct sound never moves: an item begins and ends where it was placed.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from duplex_agent.clock import USER_RATE_HZ

Audio = NDArray[np.float32]

THIRD_PARTY_DB: Final = -8.0
SHELF_DB: Final = -5.0
SHELF_HZ: Final = 4_000
REFLECTIONS: Final = ((45, -6.0), (120, -12.0))  # ms, dB
BACKGROUND_DB: Final = -15.0
BACKGROUND_HZ: Final = 3_000
BACKGROUND_ECHO: Final = ((100, -10.0),)
TELEPHONE_HZ: Final = (300, 3_400)
MU: Final = 255.0


def filtered(name: str, pcm: Audio) -> Audio:
    """``pcm`` [n] at 16 kHz through the filter of that name; a tail of echoes may make it longer.

    Names as in ``Item.filter``.
    """
    if name == "third_party":
        return _reflected(_high_shelf(pcm) * _gain(THIRD_PARTY_DB), REFLECTIONS)
    if name == "background":
        low = signal.butter(4, BACKGROUND_HZ, fs=USER_RATE_HZ, output="sos")
        return _reflected(signal.sosfilt(low, pcm) * _gain(BACKGROUND_DB), BACKGROUND_ECHO)
    if name == "telephone":
        return mu_law(np.asarray(signal.sosfilt(telephone_band(), pcm), np.float32))
    return pcm


def telephone_band() -> NDArray[np.float64]:
    """Second-order sections of the 300-3400 Hz band."""
    sections = signal.butter(4, TELEPHONE_HZ, "bandpass", fs=USER_RATE_HZ, output="sos")
    return np.asarray(sections, np.float64)


def mu_law(pcm: Audio) -> Audio:
    """What is left of ``pcm`` after 8-bit mu-law (ITU-T G.711), without its rate change."""
    limited = np.clip(pcm, -1, 1)
    code = np.sign(limited) * np.log1p(MU * np.abs(limited)) / np.log1p(MU)
    coarse = np.round(code * 127) / 127
    return np.asarray(np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(MU)) / MU, np.float32)


def room_response(rt60_s: float, rng: np.random.Generator) -> Audio:
    """Impulse response of a room: the direct sound, then exponentially decaying noise.

    The noise begins after 5 ms and holds as much energy as the direct sound (a talker about the
    critical distance away); it falls by 60 dB in ``rt60_s`` (Polack's model).
    """
    time = np.arange(int(rt60_s * USER_RATE_HZ)) / USER_RATE_HZ
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / rt60_s)
    tail[time < 0.005] = 0
    tail /= np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)


def in_room(pcm: Audio, response: Audio) -> Audio:
    """``pcm`` heard in that room, n + len(response) - 1 samples."""
    return np.asarray(signal.fftconvolve(pcm, response), np.float32)


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _reflected(pcm: NDArray[np.floating], reflections: tuple[tuple[int, float], ...]) -> Audio:
    longest = max(delay for delay, _ in reflections) * USER_RATE_HZ // 1000
    out = np.zeros(len(pcm) + longest, np.float64)
    out[: len(pcm)] += pcm
    for delay_ms, decibels in reflections:
        at = delay_ms * USER_RATE_HZ // 1000
        out[at : at + len(pcm)] += pcm * _gain(decibels)
    return out.astype(np.float32)


def _high_shelf(pcm: Audio) -> NDArray[np.float64]:
    """Second-order shelf of the Audio EQ Cookbook (slope 1)."""
    a = 10 ** (SHELF_DB / 40)
    w = 2 * np.pi * SHELF_HZ / USER_RATE_HZ
    alpha = np.sin(w) / 2 * np.sqrt(2)
    cos, root = np.cos(w), 2 * np.sqrt(a) * alpha
    b = [a * ((a + 1) + (a - 1) * cos + root), -2 * a * ((a - 1) + (a + 1) * cos),
         a * ((a + 1) + (a - 1) * cos - root)]  # fmt: skip
    den = [(a + 1) - (a - 1) * cos + root, 2 * ((a - 1) - (a + 1) * cos),
           (a + 1) - (a - 1) * cos - root]  # fmt: skip
    return np.asarray(signal.lfilter(b, den, pcm), np.float64)
