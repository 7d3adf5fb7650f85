"""The neural adapter's sizes, which every form of it shares."""

from dataclasses import dataclass
from typing import Final, Literal

from duplex_agent.ear.encoder_config import CHARACTERS, FEATURES_PER_TICK

BLANK: Final = 0
Rate = Literal[1, 2]
"""Ticks per token: 1 is 12.5 Hz, 2 is 6.25 Hz."""


@dataclass(frozen=True)
class AdapterConfig:
    """Sizes; a layer sees ``context_ticks`` back."""

    width: int = 256
    heads: int = 4
    depth: int = 2
    context_ticks: int = 25
    ear_width: int = 384

    @property
    def inputs(self) -> int:
        """Numbers of the ear for a tick: features, and probabilities of CTC characters."""
        return FEATURES_PER_TICK * (self.ear_width + len(CHARACTERS))
