"""The adapter: spelled characters and features -> continuous tokens for the thinker, 12.5 a second.

A small causal transformer on the tick clock. In each tick it says whether something for the mind is
complete, and which piece of the thinker's vocabulary it is. The token handed on is the mixture of
the thinker's own input embeddings under that prediction, so it always lies among them. The piece of
the tick before is fed back: a word of three pieces is spelled over three ticks.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.model.ear import CHARACTERS, FEATURES_PER_TICK


@dataclass(frozen=True)
class AdapterConfig:
    """Sizes of the adapter."""

    width: int = 320
    heads: int = 5
    depth: int = 4
    window_ticks: int = 48
    feature_width: int = 384
    token_width: int = 576


@dataclass
class AdapterState:
    """``tick`` int64 [B]; ``previous`` [B, token width]; per layer keys and values
    [B, heads, window, width / heads].
    """

    tick: Tensor
    previous: Tensor
    keys: list[Tensor]
    values: list[Tensor]


def _rotate(x: Tensor, places: Tensor) -> Tensor:
    """Rotary positions: ``x`` [B, heads, T, d] turned by ``places`` [B, T]."""
    half = x.shape[-1] // 2
    speed = torch.exp(torch.arange(half, device=x.device) * (-math.log(1000.0) / half))
    angle = places[:, None, :, None].float() * speed
    sin, cos = angle.sin().to(x.dtype), angle.cos().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class AdapterLayer(nn.Module):
    """Pre-norm attention and feed-forward part."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def project(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values, each [B, heads, T, d]."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        return _rotate(q, places), _rotate(k, places), v

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attend where ``mask`` (True = visible) allows, then the feed-forward part."""
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Adapter(nn.Module):
    """Ticks of characters and features -> gate logit and a query into the embedding table."""

    def __init__(self, config: AdapterConfig | None = None) -> None:
        super().__init__()
        self.config = config or AdapterConfig()
        width = self.config.width
        self.spelled_in = nn.Linear(FEATURES_PER_TICK * len(CHARACTERS), width)
        features = FEATURES_PER_TICK * self.config.feature_width
        self.features_in = nn.Linear(features, width, bias=False)
        self.previous_in = nn.Linear(self.config.token_width, width, bias=False)
        # Text alone trains the adapter first; features come in later, from nothing.
        nn.init.zeros_(self.features_in.weight)
        self.layers = nn.ModuleList(AdapterLayer(self.config) for _ in range(self.config.depth))
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 1)
        self.query = nn.Linear(width, self.config.token_width)

    def _enter(self, spelled: Tensor, features: Tensor | None, previous: Tensor) -> Tensor:
        x = self.spelled_in(spelled) + self.previous_in(previous)
        return x if features is None else x + self.features_in(features)

    def _leave(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(x)
        return self.gate(x).squeeze(-1), self.query(x)

    def forward(
        self, spelled: Tensor, features: Tensor | None, previous: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Whole rows, for training.

        ``spelled`` character probabilities [B, N, 4 * characters]; ``features`` [B, N, 4 * width];
        ``previous`` [B, N, token width] embedding of the piece of the tick before, or zeros.
        Returns gate logits [B, N] and queries [B, N, token width].
        """
        x = self._enter(spelled, features, previous)
        places = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)
        distance = places[0][:, None] - places[0][None, :]
        mask = (distance >= 0) & (distance < self.config.window_ticks)
        for layer in self.layers:
            q, k, v = layer.project(x, places)
            x = layer.mix(x, q, k, v, mask)
        return self._leave(x)

    def new_state(self, batch: int = 1) -> AdapterState:
        """A state that has heard nothing."""
        config = self.config
        zeros = self.query.weight.new_zeros
        ring = (batch, config.heads, config.window_ticks, config.width // config.heads)
        return AdapterState(
            tick=zeros(batch, dtype=torch.long),
            previous=zeros(batch, config.token_width),
            keys=[zeros(ring) for _ in self.layers],
            values=[zeros(ring) for _ in self.layers],
        )

    def step(self, state: AdapterState, spelled: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """One tick [B, ...] -> gate logits [B] and queries [B, token width].

        Changes ``state`` in place, except ``previous``: the caller sets it to what was handed on.
        """
        x = self._enter(spelled, features, state.previous)[:, None]
        window = self.config.window_ticks
        rows = torch.arange(len(x), device=x.device)
        slots = state.tick % window
        seen = torch.arange(window, device=x.device)[None, :] <= state.tick[:, None]
        for depth, layer in enumerate(self.layers):
            q, k, v = layer.project(x, state.tick[:, None])
            state.keys[depth][rows, :, slots] = k[:, :, 0]
            state.values[depth][rows, :, slots] = v[:, :, 0]
            x = layer.mix(x, q, state.keys[depth], state.values[depth], seen[:, None, None, :])
        state.tick = state.tick + 1
        gate, query = self._leave(x)
        return gate[:, 0], query[:, 0]
