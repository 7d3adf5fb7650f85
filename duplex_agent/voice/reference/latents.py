"""Sound -> continuous speech tokens: a small variational autoencoder over 80 ms of spectrum.

One token covers 80 ms: eight frames (hop 10 ms) of log-mel, and beside each the lowest bins of a
longer spectrum in which single harmonics stand apart, so that a token knows the pitch. Each token
is encoded by itself; the decoder in ``codec.py`` learns the way back to sound. The encoder serves
training and voice prompts; a running agent does not need it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.voice.config import (
    FRAMES_PER_TOKEN,
    HOP_SAMPLES,
    LATENT_WIDTH,
    WINDOW_SAMPLES,
)

MEL_BINS = 80
LOW_BINS = 48  # up to 560 Hz in steps of 11.7 Hz
_MEL_FFT, _LOW_FFT = 1024, 2048
_MEL_FLOOR, _LOW_FLOOR = 1e-5, 1e-3
_HIDDEN = 512
# No dimension may hold more than a standard deviation of 0.1 tells apart: finer detail would be
# lost in the error of one-step sampling.
_LOG_VARIANCE = (-4.6, 2.0)


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


def centred_spectrum(pcm: Tensor, size: int, window: Tensor) -> Tensor:
    """Complex spectrum of a frame around the middle of every hop, [batch, frames, size // 2 + 1].

    ``pcm`` [batch, frames * 240]; beyond its ends there is silence.
    """
    half = (size - HOP_SAMPLES) // 2
    spectrum = torch.stft(
        F.pad(pcm, (half, half)), size, HOP_SAMPLES, len(window), window,
        center=False, return_complex=True,
    )  # fmt: skip
    return spectrum.transpose(1, 2)


class LatentEncoder(nn.Module):
    """Spectral patches and the posterior of their tokens."""

    mean: Tensor
    deviation: Tensor
    filters: Tensor
    window: Tensor
    low_window: Tensor

    def __init__(self) -> None:
        super().__init__()
        width = FRAMES_PER_TOKEN * (MEL_BINS + LOW_BINS)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        filters = mel_filters(AGENT_RATE_HZ, _MEL_FFT, MEL_BINS)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)
        self.register_buffer("low_window", torch.hann_window(_LOW_FFT), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(width, _HIDDEN), nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN), nn.GELU(),
            nn.Linear(_HIDDEN, 2 * LATENT_WIDTH),
        )  # fmt: skip

    def log_mel(self, pcm: Tensor) -> Tensor:
        """[batch, frames, 80] of ``pcm`` [batch, frames * 240] at 24 kHz."""
        power = centred_spectrum(pcm, _MEL_FFT, self.window).abs()
        return (power @ self.filters).clamp_min(_MEL_FLOOR).log()

    def patches(self, pcm: Tensor) -> Tensor:
        """What a token is made from, [batch, tokens, 1024], of ``pcm`` [batch, tokens * 1920]."""
        low = centred_spectrum(pcm, _LOW_FFT, self.low_window)[:, :, :LOW_BINS].abs()
        frames = torch.cat([self.log_mel(pcm), low.clamp_min(_LOW_FLOOR).log()], dim=2)
        return frames.reshape(frames.shape[0], -1, len(self.mean))

    def posterior(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the tokens [..., 48] of ``patches`` [..., 1024]."""
        mean, log_variance = self.layers((patches - self.mean) / self.deviation).chunk(2, dim=-1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def encode(self, pcm: Tensor) -> Tensor:
        """Posterior means [batch, n, 48] of ``pcm`` float32 [batch, n * 1920] at 24 kHz."""
        return self.posterior(self.patches(pcm))[0]
