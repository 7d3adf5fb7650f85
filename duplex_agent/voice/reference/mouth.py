"""The mouth: phones on the clock + the previous token (+ the thinker's state) -> the next token.

A causal transformer steps once per 80 ms. It is told which phones sound in this tick and the two
after it, at 20 ms resolution, so it can neither skip nor repeat a word (the monotonic alignment
of VALL-E R, arXiv 2406.07855, with known timings). Its output conditions the flow head.

Letters: B batch, T ticks, D width, H heads.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.voice.config import (
    LATENT_WIDTH,
    SLOTS_PER_TICK,
    TICKS_SEEN,
    MouthConfig,
    Sampling,
)
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.reference.flow import FlowHead


@dataclass
class MouthState:
    """Keys and values of the last ticks, [layers][B, H, <= window, D / H], and the position.

    ``previous`` [B, 48] is the last token, normalised.
    """

    keys: list[Tensor]
    values: list[Tensor]
    position: int
    previous: Tensor

    def clone(self) -> "MouthState":
        return replace(
            self,
            keys=[k.clone() for k in self.keys],
            values=[v.clone() for v in self.values],
            previous=self.previous.clone(),
        )


def _rotate(x: Tensor, positions: Tensor) -> Tensor:
    """``x`` [B, H, T, d] turned to ``positions`` [T]: rotary embedding (arXiv 2104.09864)."""
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    angles = positions[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class _Layer(nn.Module):
    def __init__(self, config: MouthConfig) -> None:
        super().__init__()
        self.heads, self.window = config.heads, config.window
        self.attention_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.mlp_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.gate_up = nn.Linear(config.width, 2 * config.feed_forward, bias=False)
        self.down = nn.Linear(config.feed_forward, config.width, bias=False)

    def forward(
        self, x: Tensor, positions: Tensor, past: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """``x`` [B, T, D] at ``positions`` [T], after ``past`` keys and values."""
        batch, ticks, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).reshape(batch, ticks, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = _rotate(q, positions), _rotate(k, positions)
        k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        total = k.shape[2]
        age = torch.arange(total - ticks, total, device=x.device)[:, None]
        age = age - torch.arange(total, device=x.device)[None]
        mask = (age >= 0) & (age < self.window)
        # Written out: for a few dozen ticks SDPA's CPU kernel takes ten times as long.
        scores = (q @ k.transpose(2, 3)) * (q.shape[-1] ** -0.5)
        y = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).to(v.dtype) @ v
        x = x + self.out(y.transpose(1, 2).reshape(batch, ticks, width))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        x = x + self.down(F.silu(gate) * up)
        keep = self.window - 1
        return x, (k[:, :, -keep:], v[:, :, -keep:])


class Mouth(nn.Module):
    """Talker and flow head; see the module's docstring.

    Inside, tokens count in standard deviations from the teacher's mean, dimension by dimension:
    the encoder's dimensions differ sixfold in spread, the flow's noise does not.
    """

    latent_mean: Tensor
    latent_deviation: Tensor

    def __init__(self, config: MouthConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MouthConfig()
        self.register_buffer("latent_mean", torch.zeros(LATENT_WIDTH))
        self.register_buffer("latent_deviation", torch.ones(LATENT_WIDTH))
        self.phones = nn.Linear(len(PHONES), config.phone_width, bias=False)
        seen = SLOTS_PER_TICK * TICKS_SEEN * config.phone_width
        self.enter_phones = nn.Linear(seen, config.width)
        self.enter_latent = nn.Linear(LATENT_WIDTH, config.width)
        self.thinker_norm = nn.RMSNorm(config.thinker_width, eps=1e-6)
        self.enter_thinker = nn.Linear(config.thinker_width, config.width, bias=False)
        nn.init.zeros_(self.enter_thinker.weight)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.head = FlowHead(LATENT_WIDTH, config.width + LATENT_WIDTH, config.flow)

    @property
    def sampling(self) -> Sampling:
        """What the head's steps are."""
        return self.head.sampling

    def new_state(self, batch: int = 1) -> MouthState:
        """Before the first tick, of the weights' kind and device."""
        config, like = self.config, self.norm.weight
        empty = like.new_zeros(batch, config.heads, 0, config.width // config.heads)
        layers, previous = range(config.layers), like.new_zeros(batch, LATENT_WIDTH)
        return MouthState([empty for _ in layers], [empty for _ in layers], 0, previous)

    def talk(
        self, slots: Tensor, previous: Tensor, thinker: Tensor, state: MouthState
    ) -> tuple[Tensor, MouthState]:
        """Talker output [B, T, D].

        ``slots`` [B, T, 12, phones]: occupancy of each phone in the 20 ms slots of ticks t..t+2;
        ``previous`` [B, T, 48]: the token before each tick, normalised; ``thinker`` [B, T, 576]:
        hidden state of the word being spoken, zeros where there is none.
        """
        x = self.enter_phones(self.phones(slots).flatten(2)) + self.enter_latent(previous)
        x = x + self.enter_thinker(self.thinker_norm(thinker))
        ticks = x.shape[1]
        positions = torch.arange(ticks, device=x.device, dtype=torch.float32) + state.position
        keys, values = [], []
        for layer, k, v in zip(self.layers, state.keys, state.values, strict=True):
            x, (k, v) = layer(x, positions, (k, v))
            keys.append(k)
            values.append(v)
        after = MouthState(keys, values, state.position + ticks, previous[:, -1])
        return self.norm(x), after

    def normalise(self, tokens: Tensor) -> Tensor:
        """Tokens of the encoder [..., 48] as the mouth counts them."""
        return (tokens - self.latent_mean) / self.latent_deviation

    def denormalise(self, tokens: Tensor) -> Tensor:
        """Tokens of the mouth [..., 48] as the decoder counts them."""
        return tokens * self.latent_deviation + self.latent_mean

    def condition(self, talked: Tensor, previous: Tensor) -> Tensor:
        """What the head sees: talker output and the clean token before it."""
        return torch.cat([talked, previous], dim=-1)

    def sample(self, condition: Tensor, noise: Tensor, steps: int) -> Tensor:
        """A normalised token [B, 48] under ``condition``, drawn with ``noise`` [B, 48]."""
        return self.head.sample(condition, noise, steps)

    @torch.inference_mode()
    def step(
        self, slots: Tensor, thinker: Tensor, noise: Tensor, state: MouthState, steps: int
    ) -> tuple[Tensor, MouthState]:
        """One tick: slots [B, 12, phones], thinker [B, 576], noise [B, 48] -> token [B, 48]."""
        previous = state.previous
        talked, state = self.talk(slots[:, None], previous[:, None], thinker[:, None], state)
        token = self.sample(self.condition(talked[:, 0], previous), noise, steps)
        return self.denormalise(token), replace(state, previous=token)
