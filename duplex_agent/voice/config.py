"""Sizes, rates and constants of the voice's networks, shared by all that runs or trains them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES

LATENT_WIDTH: Final = 48
"""Numbers in a speech token; one token is 80 ms of sound."""

SLOTS_PER_TICK: Final = 4
TICKS_SEEN: Final = 3
"""Ticks whose phones the mouth sees: the current one and the two after it."""

HOP_SAMPLES: Final = 240
WINDOW_SAMPLES: Final = 960
BINS: Final = WINDOW_SAMPLES // 2 + 1
FRAMES_PER_TOKEN: Final = AGENT_TICK_SAMPLES // HOP_SAMPLES
OVERLAP_GAIN: Final = 1.5
"""What Hann windows a quarter apart add up to, squared: before the spectrum and after it."""
MIDDLE_HZ, LOWEST_HZ, HIGHEST_HZ = 90.0, 50.0, 400.0
LOUDEST_LOG_GAIN: Final = 4.0

CODEC_KERNEL: Final = 7
TEXT_LEFT, TEXT_RIGHT = 3, 1
"""Symbols before and after one that a convolution over text looks at."""
MEAN_LOG_S: Final = -3.1
"""The mean phone of the teacher lasts exp(-3.1) s = 45 ms."""
TIME_FREQUENCIES: Final = 64
FASTEST_TIME: Final = 30.0
"""In radians per unit of time. Distillation differentiates the flow head by its time inputs:
embeddings that turn a thousand radians, usual for diffusion, would drown that derivative in noise.
"""


@dataclass(frozen=True)
class PhonesConfig:
    """Sizes of the speller."""

    width: int = 256
    layers: int = 8


@dataclass(frozen=True)
class TimingConfig:
    """Sizes of the duration model."""

    width: int = 192
    layers: int = 4


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the flow head."""

    width: int = 384
    blocks: int = 4


@dataclass(frozen=True)
class MouthConfig:
    """Sizes of the mouth; ``window`` is how many past ticks it attends to."""

    width: int = 384
    layers: int = 6
    heads: int = 6
    feed_forward: int = 896
    window: int = 48
    phone_width: int = 48
    thinker_width: int = 576
    flow: FlowConfig = field(default_factory=FlowConfig)


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the decoder; ``frame_blocks`` run at 100 Hz, ``token_blocks`` at 12.5 Hz."""

    width: int = 320
    token_blocks: int = 2
    frame_blocks: int = 6
    expansion: int = 3


class Sampling(StrEnum):
    """What a trained flow head can do with a number of steps."""

    EULER = "euler"
    """Instantaneous velocities: right when steps are many."""
    FLOW_MAP = "flow-map"
    """Jumps from each step's start to its end: right for any number of steps."""
    ONE_PASS = "one-pass"
    """A generator without time: one pass, whatever number of steps is asked for."""


def step_times(steps: int, sampling: Sampling) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Times (s, t) that the head is told in each step, [steps] each; a step is 1 / steps long."""
    if sampling is Sampling.ONE_PASS:
        return np.zeros(1, np.float32), np.ones(1, np.float32)
    starts = np.arange(steps, dtype=np.float32) / np.float32(steps)
    return starts, starts if sampling is Sampling.EULER else starts + np.float32(1 / steps)
