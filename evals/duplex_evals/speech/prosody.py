"""Melody and pace of the agent: fundamental frequency and words a second."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.voice.spoken_text import speakable

METHOD: Final = "autocorrelation (Boersma 1993) without path search"
FLOOR_HZ: Final = 60.0
CEILING_HZ: Final = 400.0
HOP: Final = USER_RATE_HZ // 100
WINDOW: Final = USER_RATE_HZ * 3 // 60  # three periods of the lowest pitch, 50 ms
VOICED: Final = 0.45  # of a perfect repetition; Praat's threshold
LOUD_DB: Final = -30.0  # below the loudest frame a frame is silence or breath
OCTAVE_COST: Final = 0.05  # a period is chosen over its double when it repeats almost as well
FEWEST_VOICED: Final = 10  # frames, 100 ms
SEMITONES: Final = 12.0


@dataclass(frozen=True)
class Melody:
    """Median pitch in Hz, and its spread in semitones: half of the voiced frames lie within it.

    A monotone reading has a spread of about 1, lively speech 3 to 6. ``voiced``: the share of
    loud frames that have a pitch, 0.6 to 0.9 in natural speech, low in a hoarse or noisy voice.
    """

    median_hz: float
    spread_semitones: float
    voiced: float


def melody(pcm: NDArray[np.float32]) -> Melody | None:
    """Pitch of trimmed speech float32 [n] at 16 kHz; None when less than 100 ms are voiced."""
    if len(pcm) < WINDOW or not np.any(pcm):
        return None
    frames = np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), WINDOW)[::HOP]
    power = (frames**2).mean(axis=1)
    frames = frames[power > power.max() * 10 ** (LOUD_DB / 10)]
    pitch, strength = _pitch(frames)
    voiced = pitch[strength > VOICED]
    if len(voiced) < FEWEST_VOICED:
        return None
    low, median, high = np.percentile(voiced, [25, 50, 75])
    spread = SEMITONES * float(np.log2(high / low))
    return Melody(float(median), spread, len(voiced) / len(frames))


def _pitch(frames: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequency and strength of the best period of each of ``frames`` [n, WINDOW]."""
    window = np.hanning(WINDOW)
    shaped = (frames - frames.mean(axis=1, keepdims=True)) * window
    # Division by the window's own autocorrelation undoes its taper at long lags.
    alike = _autocorrelation(shaped) / _autocorrelation(np.asarray(window[None], np.float64))
    lags = np.arange(round(USER_RATE_HZ / CEILING_HZ), round(USER_RATE_HZ / FLOOR_HZ) + 1)
    candidates = alike[:, lags]
    best = (candidates - OCTAVE_COST * np.log2(lags / lags[0])).argmax(axis=1)
    return USER_RATE_HZ / lags[best], candidates[np.arange(len(frames)), best]


def _autocorrelation(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, 1 at lag 0."""
    spectrum = np.abs(np.fft.rfft(rows, 2 * rows.shape[1])) ** 2
    alike = np.fft.irfft(spectrum)[:, : rows.shape[1]]
    return np.asarray(alike / np.maximum(alike[:, :1], 1e-20))


def words_per_second(text: str, seconds: float) -> float | None:
    """Spoken words of ``text`` (numbers written out) over the time from first to last sound."""
    words = re.findall(r"[a-z']+", speakable(text))
    return len(words) / seconds if words and seconds > 0 else None
