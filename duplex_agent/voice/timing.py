"""How long each phone lasts, learnt from the teacher's own timings."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor, nn

from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.text_conv import TextConv, TextNetwork

# The mean phone of the teacher lasts exp(-3.1) s = 45 ms.
MEAN_LOG_S: Final = -3.1


@dataclass(frozen=True)
class TimingConfig:
    """Sizes of the duration model."""

    width: int = 192
    layers: int = 4


class Timing(TextNetwork):
    """Phone ids [batch, n] (padding = len(PHONES)) -> log seconds [batch, n]."""

    def __init__(self, config: TimingConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TimingConfig()
        self.embedding = nn.Embedding(len(PHONES) + 1, config.width)
        self.conv = TextConv(config.width, config.layers)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, 1)

    def forward(self, phones: Tensor) -> Tensor:
        x = self.conv(self.embedding(phones), phones != len(PHONES))
        return self.out(self.norm(x)).float()[..., 0] + MEAN_LOG_S

    @torch.inference_mode()
    def seconds(self, phones: list[int]) -> list[float]:
        """Durations of ``phones`` in seconds."""
        if not phones:
            return []
        found: list[float] = self(torch.tensor([phones]))[0].exp().tolist()
        return found


class Timer(Protocol):
    """What reading asks of ``Timing``, or of what stands for it."""

    @property
    def look_ahead(self) -> int: ...

    @property
    def look_back(self) -> int: ...

    def seconds(self, phones: list[int]) -> list[float]: ...


@dataclass
class TimingReader:
    """Reads a growing phone sequence and gives durations once they can no longer change."""

    model: Timer
    phones: list[int] = field(default_factory=list)
    done: int = 0
    finished: bool = False

    def read(self) -> list[tuple[int, float]]:
        """New ``(index into phones, seconds)`` pairs, in order."""
        ready = len(self.phones) if self.finished else len(self.phones) - self.model.look_ahead
        if ready <= self.done:
            return []
        start = max(0, self.done - self.model.look_back)
        seconds = self.model.seconds(self.phones[start:])
        found = [(index, seconds[index - start]) for index in range(self.done, ready)]
        self.done = ready
        return found
