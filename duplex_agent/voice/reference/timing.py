"""The duration model as a PyTorch module, learnt from the teacher's own timings."""

import torch
from torch import Tensor, nn

from duplex_agent.voice.config import MEAN_LOG_S, TimingConfig
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.reference.text_conv import TextConv, TextNetwork


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
