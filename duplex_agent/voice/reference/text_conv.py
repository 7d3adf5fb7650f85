"""Convolutions over a growing text: much left context, little and bounded right context.

With ``layers`` blocks an output depends on ``3 * layers`` symbols to the left and ``layers`` to
the right, so a symbol's output is final as soon as that many followers are known.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.voice.config import TEXT_LEFT as LEFT
from duplex_agent.voice.config import TEXT_RIGHT as RIGHT


class TextConv(nn.Module):
    """Residual convolution stack, [batch, symbols, width] in and out."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.look_ahead = layers * RIGHT
        self.look_back = layers * LEFT
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.convs = nn.ModuleList(nn.Conv1d(width, width, LEFT + RIGHT + 1) for _ in range(layers))
        self.mixes = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``mask`` [batch, symbols] is true where there is text; the rest counts as absent."""
        keep = mask[:, :, None].to(x.dtype)
        x = x * keep
        for norm, conv, mix in zip(self.norms, self.convs, self.mixes, strict=True):
            y = F.pad((norm(x) * keep).transpose(1, 2), (LEFT, RIGHT))
            x = (x + mix(F.gelu(conv(y).transpose(1, 2)))) * keep
        return x


class TextNetwork(nn.Module):
    """A network whose view of the text is that of its ``conv``."""

    conv: TextConv

    @property
    def look_ahead(self) -> int:
        """Symbols after one that its output depends on."""
        return self.conv.look_ahead

    @property
    def look_back(self) -> int:
        """Symbols before one that its output depends on."""
        return self.conv.look_back
