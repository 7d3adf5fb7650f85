"""What a voice is made of before the vocal tract shapes it: pulses at the pitch, and noise.

Both come as spectra of single windows, so that the decoder can shape them there. Pulses have
equal harmonics up to the Nyquist frequency; between two frames the phase runs on, within a window
the pitch stands still. The noise is one fixed stretch, read on and on: decoding stays a function
of its input, token by token as in one go. Source-filter vocoders: arXiv 1904.12088, 2001.04643.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.voice.config import HOP_SAMPLES, WINDOW_SAMPLES
from duplex_agent.voice.noise import TABLE_SAMPLES, noise_table

Array = NDArray[np.float32]
Phases = NDArray[np.float64]
Spectra = NDArray[np.complex64]
_TWO_PI = 2 * math.pi


@lru_cache(maxsize=1)
def window() -> Array:
    """The periodic Hann window [960] of analysis and synthesis."""
    turns = np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    return (0.5 - 0.5 * np.cos(_TWO_PI * turns)).astype(np.float32)


def advance_phase(hz: Array, phase: Phases, last_hz: Array) -> Phases:
    """Phase at the middle of every frame [batch, n], running on from ``phase`` at ``last_hz``.

    ``hz`` [batch, n]; ``phase`` and ``last_hz`` [batch] belong to the frame before.
    """
    before = np.concatenate([last_hz[:, None], hz[:, :-1]], axis=1)
    # In double precision: the hundredth harmonic multiplies every rounding by a hundred.
    frame_turns = (hz + before).astype(np.float64) * (0.5 * HOP_SAMPLES / AGENT_RATE_HZ)
    turns = np.cumsum(frame_turns, axis=1)
    advanced: Phases = (phase[:, None] + _TWO_PI * (turns % 1.0)) % _TWO_PI
    return advanced


def pulse_spectra(hz: Array, phase: Phases) -> Spectra:
    """Windowed spectra of equal-harmonic pulses, [..., 481], for ``hz`` and ``phase`` [...].

    A harmonic's amplitude is 1, so its peak in the spectrum is half the window's sum.
    """
    offset = np.arange(WINDOW_SAMPLES, dtype=np.float32) - np.float32((WINDOW_SAMPLES - 1) / 2)
    turning = np.float32(_TWO_PI / AGENT_RATE_HZ) * hz[..., None]
    angle = phase[..., None].astype(np.float32) + turning * offset
    count = np.floor(np.float32(0.5 * AGENT_RATE_HZ) / hz)[..., None]
    # Dirichlet's kernel: the sum of cosines 1 .. count in closed form.
    half = np.remainder(angle, np.float32(_TWO_PI)) / 2
    sine = np.sin(half)
    near = np.abs(sine) < 1e-4
    pulses = np.sin((2 * count + 1) * half) / np.where(near, np.float32(1), 2 * sine)
    pulses = np.where(near, count + np.float32(0.5), pulses) - np.float32(0.5)
    return _spectra(pulses)


def noise_spectra(first_frame: NDArray[np.int64], count: int) -> Spectra:
    """Windowed spectra of noise, [batch, count, 481], from ``first_frame`` [batch] on."""
    starts = (first_frame[:, None] + np.arange(count)) * HOP_SAMPLES
    span = starts[..., None] + np.arange(WINDOW_SAMPLES)
    return _spectra(noise_table()[span % TABLE_SAMPLES])


def _spectra(frames: Array) -> Spectra:
    # numpy transforms float32 in single precision, which its types do not say.
    spectra: Any = np.fft.rfft(frames * window())
    return spectra
