"""``audio.mel`` for tensors of any device, with whole batches of recordings."""

import torch
from torch import Tensor

from duplex_agent.audio.mel import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    POWER_FLOOR,
    mel_filters,
    window,
)


def log_mel(pcm: Tensor) -> Tensor:
    """Log-mel frames of ``pcm`` float32 [..., 360 + n * 1280] -> [..., 8 n, 80]."""
    frames = pcm.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES)
    hann, filters = (torch.from_numpy(x).float().to(pcm.device) for x in (window(), mel_filters()))
    mel = torch.fft.rfft(frames * hann).abs().square() @ filters
    return (mel.clamp_min(POWER_FLOOR).log10() + 4.0) / 4.0
