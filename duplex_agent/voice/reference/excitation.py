"""Pulses at the pitch, and noise, as PyTorch computes them: see ``voice.excitation``."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.voice.config import HOP_SAMPLES, WINDOW_SAMPLES
from duplex_agent.voice.noise import TABLE_SAMPLES, noise_table

_TWO_PI = 2 * math.pi


@lru_cache(maxsize=2)
def _noise(device: torch.device) -> Tensor:
    """The table of noise with its beginning repeated for one window."""
    made = torch.tensor(noise_table())
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
    starts = (frames * HOP_SAMPLES) % TABLE_SAMPLES
    span = torch.arange(WINDOW_SAMPLES, device=first_frame.device)
    return torch.fft.rfft(_noise(first_frame.device)[starts[..., None] + span] * window)
