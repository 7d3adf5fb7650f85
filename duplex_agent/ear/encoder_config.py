"""The encoder's sizes, characters and fixed positions, which every form of it shares."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.audio.mel import FRAMES_PER_TICK

BLANK: Final = 0
CHARACTERS: Final = "-abcdefghijklmnopqrstuvwxyz' "
"""What the character head writes; index 0 is CTC's blank. Every word ends with a space."""
FEATURES_PER_TICK: Final = FRAMES_PER_TICK // 2


@dataclass(frozen=True)
class EarConfig:
    """Sizes of the encoder; the defaults are Whisper tiny.en's."""

    width: int = 384
    heads: int = 6
    depth: int = 4
    context_ticks: int = 50
    positions: int = 1500


def sinusoids(length: int, width: int) -> NDArray[np.float32]:
    """Whisper's fixed positions [length, width]: sines in the first half, cosines in the second."""
    half = width // 2
    exponents = np.arange(half, dtype=np.float32) * np.float32(-math.log(10_000.0) / (half - 1))
    # Rounded where Whisper rounds: exact speeds would turn the last position by 1e-4 more or less.
    speeds = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = np.arange(length, dtype=np.float32)[:, None] * speeds
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
