"""The flow-matching head: noise -> the next continuous speech token.

An AdaLN-MLP as in MAR (arXiv 2406.11838) and CALM (arXiv 2509.06926). It has two time inputs
(s, t) from the start, so that a one-step flow map can be distilled into the same weights later;
plain flow matching sets both to the same time. t = 0 is noise, t = 1 is data.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FREQUENCIES = 64
# In radians per unit of time. Distillation differentiates the head by its time inputs: embeddings
# that turn a thousand radians, usual for diffusion, would drown that derivative in noise.
_FASTEST = 30.0


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the head."""

    width: int = 384
    blocks: int = 4


class _TimeEmbedding(nn.Module):
    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, math.log(_FASTEST), _FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.enter = nn.Linear(2 * _FREQUENCIES, width)
        self.out = nn.Linear(width, width)

    def forward(self, time: Tensor) -> Tensor:
        angles = time[..., None] * self.frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.out(F.silu(self.enter(waves)))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        self.modulation = nn.Linear(width, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        shift, scale, gate = modulation.chunk(3, dim=-1)
        y = self.norm(x) * (1 + scale) + shift
        return x + gate * self.down(F.silu(self.up(y)))


class FlowHead(nn.Module):
    """Velocity of a noisy token under a condition; ``sample`` integrates it."""

    def __init__(self, latent_width: int, condition_width: int, config: FlowConfig) -> None:
        super().__init__()
        width = config.width
        self.enter = nn.Linear(latent_width, width)
        self.condition = nn.Linear(condition_width, width)
        self.start_time = _TimeEmbedding(width)
        self.end_time = _TimeEmbedding(width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.last_modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, latent_width)
        for layer in (self.last_modulation, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _modulations(self, condition: Tensor, s: Tensor, t: Tensor) -> list[Tensor]:
        """Shifts, scales and gates of all blocks; they do not depend on the noisy token."""
        time = 0.5 * (self.start_time(s) + self.end_time(t))
        mixed = F.silu(self.condition(condition) + time)
        found = [block.modulation(mixed) for block in self.blocks]  # type: ignore[operator]
        return [*found, self.last_modulation(mixed)]

    def _velocity(self, noisy: Tensor, modulations: list[Tensor]) -> Tensor:
        x = self.enter(noisy)
        for block, modulation in zip(self.blocks, modulations[:-1], strict=True):
            x = block(x, modulation)
        shift, scale = modulations[-1].chunk(2, dim=-1)
        return self.out(self.norm(x) * (1 + scale) + shift)

    def forward(self, noisy: Tensor, condition: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """``noisy`` [..., latent], ``condition`` [..., width], times [...] -> velocity."""
        return self._velocity(noisy, self._modulations(condition, s, t))

    def sample(self, condition: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Euler integration from ``noise`` [batch, latent] under ``condition`` [batch, width].

        The modulations of all steps are computed in one product before the loop.
        """
        times = torch.arange(steps, dtype=noise.dtype, device=noise.device) / steps
        times = times[:, None].expand(steps, len(noise))
        conditions = condition.expand(steps, *condition.shape)
        every = self._modulations(conditions, times, times)
        token = noise
        for step in range(steps):
            token = token + self._velocity(token, [m[step] for m in every]) / steps
        return token


def flow_matching_loss(
    head: FlowHead, latents: Tensor, condition: Tensor, draws: int, rng: torch.Generator
) -> Tensor:
    """Mean squared velocity error per token, [tokens], over ``draws`` noise samples each.

    ``latents`` [tokens, latent], ``condition`` [tokens, width]. Logit-normal time (0.4, 1) as in
    Kyutai's published recipe.
    """
    shape = (draws, *latents.shape)
    noise = torch.randn(shape, generator=rng, device=latents.device)
    normal = torch.randn(shape[:-1], generator=rng, device=latents.device)
    t = torch.sigmoid(0.4 + normal)
    noisy = torch.lerp(noise, latents.expand(shape), t[..., None])
    velocity = head(noisy, condition.expand(draws, *condition.shape), t, t)
    error = velocity.float() - (latents - noise)
    return error.square().mean(dim=-1).mean(dim=0)
