"""Small spectrogram pictures: mel bands over time, sixteen greys, a few kilobytes each."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.voice.reference.latents import mel_filters
from duplex_evals.errors import ResultError

Audio = NDArray[np.float32]
_FFT: Final = 1024
_HOP: Final = AGENT_RATE_HZ // 100
_BANDS: Final = 96
_RANGE_DB: Final = 70.0
_GREYS: Final = 16


def mel_picture(pcm: Audio) -> NDArray[np.uint8]:
    """Mel spectrogram of ``pcm`` float32 [n] at 24 kHz as greys [96, frames], low bands below.

    White is silence; black is the loudest point, and 70 dB lie between.
    """
    window = torch.hann_window(_FFT)
    spectrum = torch.stft(torch.from_numpy(pcm), _FFT, _HOP, window=window, return_complex=True)
    mel = spectrum.abs().square().T @ mel_filters(AGENT_RATE_HZ, _FFT, _BANDS)
    level = 10 * mel.clamp_min(1e-10).log10()
    depth = ((level - level.max() + _RANGE_DB) / _RANGE_DB).clamp(0, 1)
    steps = (depth * (_GREYS - 1)).round() * (255 // (_GREYS - 1))
    grey = 255 - steps.T.flip(0)
    return np.asarray(grey.numpy(), np.uint8)


def save_spectrogram(pcm: Audio, target: Path) -> None:
    """Write the picture of ``pcm`` as PNG. Raises ResultError."""
    from PIL import Image

    picture = Image.fromarray(mel_picture(pcm)).quantize(_GREYS)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target, optimize=True)
    except OSError as error:
        raise ResultError(f"cannot write {target}: {error.strerror or error}") from error
