"""The neural adapter: the ear's features become continuous tokens of the thinker, no text between.

At every tick two small causal layers read what the ear heard in it, and posteriors over blank and
the ids that the adapter knows weigh those ids' own embeddings (LegoSLM, arXiv 2505.11352). Read
every second tick, from the mean of two ticks, the same weights give half as many tokens. Here
whole recordings are read, in PyTorch: for training, and as reference of ``tick_adapter``.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.ear.adapter.config import BLANK, AdapterConfig, Rate


@dataclass(frozen=True)
class Tokens:
    """``vectors`` [..., thinker's width] and log-probabilities [..., 1 + ids] of blank and ids."""

    vectors: Tensor
    log_probs: Tensor

    @property
    def blank(self) -> Tensor:
        """The probability of blank [...]: how sure it is that this token says nothing new."""
        return self.log_probs[..., BLANK].exp()


class AdapterLayer(nn.Module):
    """Attention to the recent past, positions told by a bias per distance, then feed-forward."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.context = config.context_ticks
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.near = nn.Parameter(torch.zeros(config.heads, config.context_ticks + 1))
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values of ``x`` [..., T, width], each [..., heads, T, head width]."""
        split = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = (part.transpose(-2, -3) for part in split.unbind(-3))
        return q, k, v

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from the last ticks of ``k``, as many as ``x`` has."""
        ticks, seen = q.shape[-2], k.shape[-2]
        here = torch.arange(seen - ticks, seen, device=x.device)[:, None]
        age = here - torch.arange(seen, device=x.device)
        visible = (age >= 0) & (age <= self.context)
        bias = self.near[:, age.clamp(0, self.context)].masked_fill(~visible, -torch.inf)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = x + self.out(mixed.transpose(-2, -3).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Adapter(nn.Module):
    """Features and characters of the ear -> continuous tokens and posteriors."""

    rows: Tensor
    keys: Tensor
    ids: Tensor

    def __init__(self, ids: Tensor, rows: Tensor, config: AdapterConfig | None = None) -> None:
        """``ids`` int [V] it knows, in the thinker's vocabulary, and their embeddings ``rows``
        [V, thinker's width], which stay as they are and are in no weight file.
        """
        super().__init__()
        self.config = config or AdapterConfig()
        width, target = self.config.width, rows.shape[1]
        rows = rows.float()
        centre = rows.mean(0)
        self.register_buffer("ids", ids.long())
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("keys", F.normalize(rows - centre, dim=1), persistent=False)
        self.enter = nn.Linear(self.config.inputs, width)
        self.layers = nn.ModuleList(AdapterLayer(self.config) for _ in range(self.config.depth))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, target)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.often = nn.Parameter(torch.zeros(len(rows)))
        self.blank = nn.Linear(width, 1)
        self.blank_vector = nn.Parameter(centre.clone())
        self.rest = nn.Linear(width, target)
        # Begin with blanks: CTC gets there first anyway, and slowly.
        nn.init.constant_(self.blank.bias, float(torch.tensor(len(rows) * 10.0).log()))
        nn.init.zeros_(self.rest.weight)
        nn.init.zeros_(self.rest.bias)

    def _stack(self) -> list[AdapterLayer]:
        return cast(list[AdapterLayer], list(self.layers))

    def _enter(self, features: Tensor, characters: Tensor) -> Tensor:
        heard = torch.cat([features.flatten(-2), characters.exp().flatten(-2)], dim=-1)
        entered: Tensor = self.enter(heard)
        return entered

    def hidden(self, features: Tensor, characters: Tensor) -> Tensor:
        """``features`` [B, T, 4, ear width] and log-probabilities ``characters`` [B, T, 4, n] of
        whole recordings -> hidden vectors [B, T, width].
        """
        x = self._enter(features, characters)
        for layer in self._stack():
            x = layer.mix(x, *layer.project(x))
        return self.norm(x)

    def at_rate(self, hidden: Tensor, rate: Rate) -> Tensor:
        """Hidden vectors [..., T, width] of ticks -> [..., T // rate, width] of tokens."""
        if rate == 1:
            return hidden
        whole = hidden.shape[-2] // 2 * 2
        return hidden[..., :whole, :].unflatten(-2, (-1, 2)).mean(-2)

    def log_probs(self, hidden: Tensor) -> Tensor:
        """Log-probabilities [..., 1 + ids] of blank and ids behind hidden vectors [..., width]."""
        scores = self.log_scale.exp() * F.linear(self.query(hidden), self.keys) + self.often
        return torch.cat([self.blank(hidden), scores], -1).float().log_softmax(-1)

    def token(self, hidden: Tensor) -> Tokens:
        """What hidden vectors [..., width] say."""
        log_probs = self.log_probs(hidden)
        probs = log_probs.exp()
        spoken = probs[..., 1:] @ self.rows + probs[..., :1] * self.blank_vector
        return Tokens(spoken + self.rest(hidden), log_probs)
