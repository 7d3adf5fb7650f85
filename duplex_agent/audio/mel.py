"""Whisper's log-mel spectrogram, cut so that every tick of sound gives exactly eight frames.

Frames are 25 ms long, 10 ms apart, and lie as late as a tick's sound allows: the last frame of a
tick ends 7.5 ms before the tick does. Whisper lifts the quietest values to 80 dB below the loudest
frame of the whole recording; nobody knows that frame while the recording runs, so the floor here
is fixed and the encoder is trained with it.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES

MELS: Final = 80
HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 400
FRAMES_PER_TICK: Final = USER_TICK_SAMPLES // HOP_SAMPLES
TAIL_SAMPLES: Final = 360
"""Sound of the previous tick that the frames of the next one begin in."""
POWER_FLOOR: Final = 1e-6

Array = NDArray[np.float32]
Exact = NDArray[np.float64]


def _mel_to_hz(mel: Exact) -> Exact:
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    linear = mel * 200.0 / 3
    return np.where(mel < 15, linear, 1000.0 * np.exp((mel - 15) * np.log(6.4) / 27))


@lru_cache(maxsize=1)
def mel_filters() -> Exact:
    """Triangular filters of equal area, [201, 80], as Whisper uses them."""
    top = 15 + 27 * np.log(USER_RATE_HZ / 2 / 1000.0) / np.log(6.4)
    edges = _mel_to_hz(np.linspace(0.0, top, MELS + 2))
    bins = np.linspace(0.0, USER_RATE_HZ / 2, FRAME_SAMPLES // 2 + 1)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: Exact = triangles * 2.0 / (edges[2:] - edges[:-2])
    return filters


@lru_cache(maxsize=1)
def _window() -> Exact:
    """The periodic Hann window, [400]."""
    phases = np.linspace(0.0, 2 * np.pi, FRAME_SAMPLES, endpoint=False)
    return 0.5 - 0.5 * np.cos(phases)


def log_mel(pcm: Array) -> Array:
    """Log-mel frames of ``pcm`` float32 [..., 360 + n * 1280] -> [..., 8 n, 80].

    The first 360 samples are the end of the sound before: zeros at the start of a conversation.
    Computed in double precision, so that the encoder's 8-bit levels are the same on every machine.
    """
    frames = sliding_window_view(pcm, FRAME_SAMPLES, axis=-1)[..., ::HOP_SAMPLES, :]
    spectrum = np.fft.rfft(frames * _window())
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    levels = np.log10(np.maximum(power @ mel_filters(), POWER_FLOOR))
    return ((levels + 4) / 4).astype(np.float32)
