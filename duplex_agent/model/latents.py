"""Sound -> continuous speech tokens: whitened principal components of one tick of log-mel.

One token covers 80 ms: eight log-mel frames (hop 10 ms) side by side, projected on the directions
of largest variance and scaled to unit variance each. The transform is linear, fitted on the
teacher voice, and needed for training only; the decoder in ``codec.py`` learns the way back.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.clock import AGENT_RATE_HZ, AGENT_TICK_SAMPLES

HOP_SAMPLES = 240
FRAMES_PER_TOKEN = AGENT_TICK_SAMPLES // HOP_SAMPLES
WINDOW_SAMPLES = 960
MEL_BINS = 80
LATENT_WIDTH = 64
_FLOOR = 1e-5


def mel_filters(rate_hz: int, fft_size: int, bins: int) -> Tensor:
    """Triangular filters on the HTK mel scale with unit peak, [fft_size // 2 + 1, bins]."""

    def mel(hz: float) -> float:
        return 2595.0 * math.log10(1 + hz / 700.0)

    points = torch.linspace(mel(0.0), mel(rate_hz / 2), bins + 2, dtype=torch.float64)
    edges = 700.0 * (10 ** (points / 2595.0) - 1)
    hz = torch.linspace(0, rate_hz / 2, fft_size // 2 + 1, dtype=torch.float64)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0).float()


class LatentTransform(nn.Module):
    """Log-mel patches and their whitening; ``fit`` sets it, ``encode`` applies it."""

    mean: Tensor
    basis: Tensor
    scale: Tensor
    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        width = FRAMES_PER_TOKEN * MEL_BINS
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("basis", torch.zeros(width, LATENT_WIDTH))
        self.register_buffer("scale", torch.ones(LATENT_WIDTH))
        filters = mel_filters(AGENT_RATE_HZ, 1024, MEL_BINS)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)

    def patches(self, pcm: Tensor) -> Tensor:
        """Log-mel patches [batch, tokens, 640] of ``pcm`` [batch, tokens * 1920]."""
        half = (1024 - HOP_SAMPLES) // 2
        padded = F.pad(pcm, (half, half))
        spectrum = torch.stft(
            padded, 1024, HOP_SAMPLES, WINDOW_SAMPLES, self.window, center=False,
            return_complex=True,
        ).abs()  # fmt: skip
        mel = (spectrum.transpose(1, 2) @ self.filters).clamp_min(_FLOOR).log()
        return mel.reshape(mel.shape[0], -1, FRAMES_PER_TOKEN * MEL_BINS)

    def fit(self, patches: Tensor) -> float:
        """Fit on ``patches`` [n, 640]; returns the share of variance that the tokens keep."""
        data = patches.double()
        mean = data.mean(dim=0)
        values, vectors = torch.linalg.eigh(torch.cov((data - mean).T))
        kept = values.flip(0)[:LATENT_WIDTH]
        self.mean.copy_(mean)
        self.basis.copy_(vectors.flip(1)[:, :LATENT_WIDTH])
        self.scale.copy_(kept.clamp_min(1e-8).sqrt())
        return float(kept.sum() / values.sum())

    def encode(self, pcm: Tensor) -> Tensor:
        """Tokens [batch, n, 64] of ``pcm`` float32 [batch, n * 1920] at 24 kHz."""
        return (self.patches(pcm) - self.mean) @ self.basis / self.scale
