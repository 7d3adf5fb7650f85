"""Pitch and filters of frames -> 24 kHz sound: shaped pulses and noise, an inverse STFT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_agent.voice.config import (
    HIGHEST_HZ,
    HOP_SAMPLES,
    LOUDEST_LOG_GAIN,
    LOWEST_HZ,
    MIDDLE_HZ,
    OVERLAP_GAIN,
    WINDOW_SAMPLES,
)
from duplex_agent.voice.excitation import (
    Array,
    Phases,
    Spectra,
    advance_phase,
    noise_spectra,
    pulse_spectra,
    window,
)

_OVERLAP_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES


@dataclass(frozen=True)
class SynthesisState:
    """The overlap to come [batch, 720], phase and pitch of the last frame [batch], and how many
    frames there were [batch].
    """

    overlap: Array
    phase: Phases
    hz: Array
    frames: NDArray[np.int64]


def new_state(batch: int = 1) -> SynthesisState:
    """Before the first frame."""
    return SynthesisState(
        np.zeros((batch, _OVERLAP_SAMPLES), np.float32),
        np.zeros(batch),
        np.full(batch, MIDDLE_HZ, np.float32),
        np.zeros(batch, np.int64),
    )


def synthesize(
    log_pitch: Array, filters: Array, state: SynthesisState
) -> tuple[Array, SynthesisState]:
    """Sound [batch, n * 240] of n frames, and the state after them.

    ``log_pitch`` [batch, n, 1] over 90 Hz; ``filters`` [batch, n, 4 * 481]: per bin the log gain of
    the pulses, cosine and sine of their phase, and the log gain of the noise.
    """
    hz = np.clip(np.exp(log_pitch[..., 0]) * np.float32(MIDDLE_HZ), LOWEST_HZ, HIGHEST_HZ)
    gain, cosine, sine, noise = np.split(filters, 4, axis=-1)
    scale = _gain(gain) / np.sqrt(np.square(cosine) + np.square(sine) + np.float32(1e-6))
    shape = np.empty(gain.shape, np.complex64)
    shape.real, shape.imag = cosine * scale, sine * scale
    phase = advance_phase(hz, state.phase, state.hz)
    spectra = pulse_spectra(hz, phase) * shape
    spectra += noise_spectra(state.frames, hz.shape[1]) * _gain(noise)
    pcm, overlap = _overlap_add(spectra, state.overlap)
    return pcm, SynthesisState(overlap, phase[:, -1], hz[:, -1], state.frames + hz.shape[1])


def _gain(logarithm: Array) -> Array:
    return np.exp(np.minimum(logarithm, np.float32(LOUDEST_LOG_GAIN)))


def _overlap_add(spectra: Spectra, overlap: Array) -> tuple[Array, Array]:
    frames = np.fft.irfft(spectra, WINDOW_SAMPLES) * window() / np.float32(OVERLAP_GAIN)
    batch, count, _ = frames.shape
    hops = WINDOW_SAMPLES // HOP_SAMPLES
    added = np.zeros((batch, count + hops - 1, HOP_SAMPLES), np.float32)
    for hop in range(hops):
        added[:, hop : hop + count] += frames[:, :, hop * HOP_SAMPLES : (hop + 1) * HOP_SAMPLES]
    pcm = added.reshape(batch, -1)
    pcm[:, :_OVERLAP_SAMPLES] += overlap
    return pcm[:, : count * HOP_SAMPLES], pcm[:, count * HOP_SAMPLES :]
