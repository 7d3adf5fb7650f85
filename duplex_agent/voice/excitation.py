"""What a voice is made of before the vocal tract shapes it: pulses at the pitch, and noise.

Both come as spectra of single windows, so that the decoder can shape them there. Pulses have
equal harmonics up to the Nyquist frequency; between two frames the phase runs on, within a window
the pitch stands still. The noise is one fixed stretch, read on and on: decoding stays a function
of its input, token by token as in one go. Source-filter vocoders: arXiv 1904.12088, 2001.04643.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.voice.latents import HOP_SAMPLES, WINDOW_SAMPLES

NOISE_SAMPLES = 1 << 17
_TWO_PI = 2 * math.pi


@lru_cache(maxsize=2)
def _noise(device: torch.device) -> Tensor:
    """White noise of unit variance, float32, its beginning repeated for one window."""
    made = torch.randn(NOISE_SAMPLES, generator=torch.Generator().manual_seed(1))
    return torch.cat([made, made[:WINDOW_SAMPLES]]).to(device)


def advance_phase(hz: Tensor, phase: Tensor, last_hz: Tensor) -> Tensor:
    """Phase at the middle of every frame [batch, n], running on from ``phase`` at ``last_hz``.

    ``hz`` [batch, n]; ``phase`` and ``last_hz`` [batch] belong to the frame before.
    """
    before = torch.cat([last_hz[:, None], hz[:, :-1]], dim=1)
    # In double precision: the hundredth harmonic multiplies every rounding by a hundred.
    turns = ((hz + before).double() * (0.5 * HOP_SAMPLES / AGENT_RATE_HZ)).cumsum(dim=1)
    return (phase[:, None] + _TWO_PI * (turns % 1.0)) % _TWO_PI


def pulse_spectra(hz: Tensor, phase: Tensor, window: Tensor) -> Tensor:
    """Windowed spectra of equal-harmonic pulses, complex [..., 481], for ``hz``, ``phase`` [...].

    A harmonic's amplitude is 1, so its peak in the spectrum is half the window's sum.
    """
    offset = torch.arange(WINDOW_SAMPLES, device=hz.device) - (WINDOW_SAMPLES - 1) / 2
    angle = phase[..., None].to(hz.dtype) + (_TWO_PI / AGENT_RATE_HZ) * hz[..., None] * offset
    count = torch.floor(0.5 * AGENT_RATE_HZ / hz)[..., None]
    # Dirichlet's kernel: the sum of cosines 1 .. count in closed form.
    half = torch.remainder(angle, _TWO_PI) / 2
    sine = half.sin()
    near = sine.abs() < 1e-4
    pulses = ((2 * count + 1) * half).sin() / torch.where(near, torch.ones_like(sine), 2 * sine)
    pulses = torch.where(near, count + 0.5, pulses) - 0.5
    return torch.fft.rfft(pulses * window, WINDOW_SAMPLES)


def noise_spectra(first_frame: Tensor, count: int, window: Tensor) -> Tensor:
    """Windowed spectra of noise, complex [batch, count, 481], from ``first_frame`` [batch] on."""
    frames = first_frame[:, None] + torch.arange(count, device=first_frame.device)
    starts = (frames * HOP_SAMPLES) % NOISE_SAMPLES
    span = torch.arange(WINDOW_SAMPLES, device=first_frame.device)
    return torch.fft.rfft(_noise(first_frame.device)[starts[..., None] + span] * window)
