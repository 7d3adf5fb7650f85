"""A festive tune made from a seed: bells over chords, a bass and a shaker. No words, no voices."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ

Audio = NDArray[np.float32]

BEAT_S: Final = 0.4  # 150 beats a minute
_CHORDS: Final = ((0, 4, 7), (7, 11, 14), (9, 12, 16), (5, 9, 12))  # semitones over C: I V vi IV
_SCALE: Final = (0, 2, 4, 5, 7, 9, 11, 12)
_C4_HZ: Final = 261.63
_BELL: Final = ((1.0, 1.0), (2.76, 0.5), (5.4, 0.25))  # partials of a struck bar
_STRING: Final = ((1.0, 1.0), (2.0, 0.5), (3.0, 0.3), (4.0, 0.15))


def festive(samples: int, rng: np.random.Generator) -> Audio:
    """``samples`` at 16 kHz, peak 0.5. The same generator state gives the same tune."""
    audio = np.zeros(samples + USER_RATE_HZ, np.float64)
    beats = int(np.ceil(samples / (BEAT_S * USER_RATE_HZ)))
    note = 4
    for beat in range(beats):
        at = round(beat * BEAT_S * USER_RATE_HZ)
        chord = _CHORDS[beat // 4 % len(_CHORDS)]
        if beat % 4 == 0:
            _strike(audio, at, chord[0] - 24, 0.8, 1.0, _STRING)
            for step in chord:
                _strike(audio, at, step, 0.3, 1.2, _STRING)
        for half in range(1 + int(rng.random() < 0.4)):
            note = int(np.clip(note + rng.integers(-2, 3), 0, len(_SCALE) - 1))
            later = at + round(half * BEAT_S / 2 * USER_RATE_HZ)
            _strike(audio, later, _SCALE[note] + 12, 0.6, 0.5, _BELL)
        shake = rng.standard_normal(1_200) * np.exp(-np.arange(1_200) / 300)
        room = audio[at : at + len(shake)]
        room += 0.15 * shake[: len(room)]
    tune = audio[:samples]
    return np.asarray(tune * (0.5 / np.abs(tune).max()), np.float32)


def _strike(
    audio: NDArray[np.float64],
    at: int,
    semitones: int,
    loudness: float,
    decay_s: float,
    partials: tuple[tuple[float, float], ...],
) -> None:
    """Add one decaying note in place; what hangs over the end is cut."""
    room = audio[at:]
    time = np.arange(min(len(room), round(4 * decay_s * USER_RATE_HZ))) / USER_RATE_HZ
    pitch = _C4_HZ * 2 ** (semitones / 12)
    wave = sum(
        share * np.sin(2 * np.pi * pitch * ratio * time) * np.exp(-time * ratio**0.5 / decay_s)
        for ratio, share in partials
        if pitch * ratio < USER_RATE_HZ / 2
    )
    room[: len(time)] += loudness * wave
