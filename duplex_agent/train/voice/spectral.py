"""Spectral distances between two signals."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.voice.reference.latents import mel_filters

# (fft size, mel bins): short windows see attacks, long ones harmonics.
_RESOLUTIONS = ((256, 40), (512, 64), (1024, 80), (2048, 128))


class MultiResolutionSpectralLoss(nn.Module):
    """Mean L1 of log magnitude and log mel plus spectral convergence (arXiv 1910.11480)."""

    def __init__(self) -> None:
        super().__init__()
        for size, bins in _RESOLUTIONS:
            self.register_buffer(f"window{size}", torch.hann_window(size), persistent=False)
            filters = mel_filters(AGENT_RATE_HZ, size, bins)
            self.register_buffer(f"filters{size}", filters, persistent=False)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """``made`` and ``real`` [batch, samples] float32 -> scalar."""
        both = torch.cat([made, real])
        total = made.new_zeros(())
        for size, _ in _RESOLUTIONS:
            window, filters = getattr(self, f"window{size}"), getattr(self, f"filters{size}")
            spectrum = torch.stft(both, size, size // 4, window=window, return_complex=True)
            magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
            made_mag, real_mag = magnitude.chunk(2)
            mel = (magnitude.transpose(1, 2) @ filters).clamp_min(1e-4).log()
            made_mel, real_mel = mel.chunk(2)
            floor = 1e-3
            total = total + F.l1_loss(made_mel, real_mel)
            total = total + 0.5 * F.l1_loss((made_mag + floor).log(), (real_mag + floor).log())
            total = total + torch.linalg.norm(made_mag - real_mag) / torch.linalg.norm(real_mag)
        return total / len(_RESOLUTIONS)
