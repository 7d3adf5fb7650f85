"""``audio.mel`` for tensors of any device, with whole batches of recordings."""

import torch
from torch import Tensor

from duplex_agent.audio.mel import FRAME_SAMPLES, HOP_SAMPLES, POWER_FLOOR, mel_filters


def log_mel(pcm: Tensor) -> Tensor:
    """Log-mel frames of ``pcm`` float32 [..., 360 + n * 1280] -> [..., 8 n, 80]."""
    frames = pcm.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES)
    window = torch.hann_window(FRAME_SAMPLES, device=pcm.device)
    filters = torch.from_numpy(mel_filters()).float().to(pcm.device)
    mel = torch.fft.rfft(frames * window).abs().square() @ filters
    return (mel.clamp_min(POWER_FLOOR).log10() + 4.0) / 4.0
