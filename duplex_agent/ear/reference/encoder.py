"""The ear's encoder: Whisper tiny.en's layers, run tick by tick with a fixed look-ahead.

Each layer sees four seconds back, and the first ``look_ahead_ticks`` layers also see one tick
(80 ms) ahead of the tick they work on: with four of them the features of tick t are ready when the
audio of tick t + 4 has arrived. One set of weights serves every look-ahead. Here whole recordings
are heard, with two masks, in PyTorch: for training, and as reference of ``tick_encoder``, which
does the same work with the clock.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.audio.mel import MELS, TAIL_SAMPLES
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.encoder_config import CHARACTERS, FEATURES_PER_TICK, EarConfig, sinusoids
from duplex_agent.ear.reference.mel import log_mel


class EarLayer(nn.Module):
    """A Whisper encoder layer with its attention split into projection and mixing."""

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of ``x`` [B, T, width], each [B, T, heads, head width]."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return q, k, v

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attend from ``q`` where ``mask`` (True = visible) allows, then the feed-forward part."""
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class EarEncoder(nn.Module):
    """Sound -> features at 50 Hz and character log-probabilities."""

    positions: Tensor

    def __init__(
        self, config: EarConfig | None = None, look_ahead_ticks: int | None = None
    ) -> None:
        """``look_ahead_ticks``: 0 to depth, the depth by default; ValueError otherwise."""
        super().__init__()
        self.config = config or EarConfig()
        self.look_ahead_ticks = self.config.depth if look_ahead_ticks is None else look_ahead_ticks
        if not 0 <= self.look_ahead_ticks <= self.config.depth:
            raise ValueError(f"a look-ahead of {look_ahead_ticks} ticks: 0 to {self.config.depth}")
        width = self.config.width
        self.conv1 = nn.Conv1d(MELS, width, 3)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2)
        positions = torch.from_numpy(sinusoids(self.config.positions, width))
        self.register_buffer("positions", positions, persistent=False)
        self.layers = nn.ModuleList(EarLayer(self.config) for _ in range(self.config.depth))
        self.norm = nn.LayerNorm(width)
        self.characters = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, len(CHARACTERS))
        )

    def _stack(self) -> list[EarLayer]:
        return cast(list[EarLayer], list(self.layers))

    def _convolve(self, mel: Tensor) -> Tensor:
        """Frames with two earlier ones [B, 2 + 8 n, 80] -> features [B, 4 n, width]."""
        first = F.gelu(self.conv1(mel.transpose(1, 2)))
        return F.gelu(self.conv2(F.pad(first, (1, 0)))).transpose(1, 2)

    def _add_positions(self, x: Tensor, start: Tensor) -> Tensor:
        """Add the positions that follow ``start`` [B] (modulo their number)."""
        steps = torch.arange(x.shape[1], device=x.device)
        return x + self.positions[(start[:, None] + steps) % self.config.positions]

    def logits(self, features: Tensor) -> Tensor:
        """Character log-probabilities of ``features`` [..., width] -> [..., characters]."""
        logits: Tensor = self.characters(features)
        return logits.float().log_softmax(-1)

    def forward(
        self, pcm: Tensor, offset: Tensor | None = None, full_context: bool = False
    ) -> Tensor:
        """Features of whole recordings: ``pcm`` [B, n * 1280] -> [B, 4 n, width].

        Silence is taken to follow. ``offset`` int64 [B] is the
        position of the first feature, 0 by default. With ``full_context`` all of the recording is
        visible from everywhere in it, as in Whisper itself.
        """
        batch, samples = pcm.shape
        ahead = self.look_ahead_ticks
        pcm = F.pad(pcm, (TAIL_SAMPLES, ahead * USER_TICK_SAMPLES))
        mel = F.pad(log_mel(pcm), (0, 0, 2, 0))
        x = self._convolve(mel)
        x = self._add_positions(
            x, offset if offset is not None else x.new_zeros(batch, dtype=torch.long)
        )
        ticks = torch.arange(x.shape[1], device=x.device) // FEATURES_PER_TICK
        distance = ticks[None, :] - ticks[:, None]
        near = distance >= -self.config.context_ticks
        masks = [full_context | (near & (distance <= ahead)) for ahead in (0, 1)]
        for depth, layer in enumerate(self._stack()):
            q, k, v = layer.project(x)
            x = layer.mix(x, q, k, v, masks[depth < self.look_ahead_ticks])
        return self.norm(x[:, : samples // USER_TICK_SAMPLES * FEATURES_PER_TICK])
