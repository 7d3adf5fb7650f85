"""The flow-matching head: noise -> the next continuous speech token.

An AdaLN-MLP as in MAR (arXiv 2406.11838) and CALM (arXiv 2509.06926). It has two time inputs
(s, t): the mean velocity of the jump from s to t (a flow map, arXiv 2505.18825). With both equal
it is the velocity at that instant, which plain flow matching learns; jumps of any length are
distilled into the same weights by recipe ``mouth-distill``. t = 0 is noise, t = 1 is data.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.voice.config import (
    FASTEST_TIME,
    TIME_FREQUENCIES,
    FlowConfig,
    Sampling,
    step_times,
)


class _TimeEmbedding(nn.Module):
    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, math.log(FASTEST_TIME), TIME_FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.enter = nn.Linear(2 * TIME_FREQUENCIES, width)
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
    """Velocity of a noisy token under a condition; ``sample`` integrates it.

    ``sampling`` says what the weights were trained for; a flow map may be asked for Euler steps.
    """

    def __init__(
        self, latent_width: int, condition_width: int, config: FlowConfig,
        out_width: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.sampling = Sampling.EULER
        width = config.width
        self.enter = nn.Linear(latent_width, width)
        self.condition = nn.Linear(condition_width, width)
        self.start_time = _TimeEmbedding(width)
        self.end_time = _TimeEmbedding(width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.last_modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, out_width or latent_width)
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
        """From ``noise`` [batch, latent] to tokens under ``condition`` [batch, width].

        The modulations of all steps are computed in one product before the loop.
        """
        times = step_times(steps, self.sampling)
        starts, ends = (torch.from_numpy(x).to(noise)[:, None] for x in times)
        steps = len(starts)
        conditions = condition.expand(steps, *condition.shape)
        shape = conditions.shape[:-1]
        every = self._modulations(conditions, starts.expand(shape), ends.expand(shape))
        token = noise
        for step in range(steps):
            token = token + self._velocity(token, [m[step] for m in every]) / steps
        return token


Guide = Callable[[Tensor, Tensor], Tensor]
"""What to add to the velocity of noisy tokens [..., latent] at times [...]."""


def flow_matching_loss(
    head: FlowHead, latents: Tensor, condition: Tensor, draws: int, rng: torch.Generator,
    guide: Guide | None = None,
) -> Tensor:  # fmt: skip
    """Mean squared velocity error per token, [tokens], over ``draws`` noise samples each.

    ``latents`` [tokens, latent], ``condition`` [tokens, width]. Logit-normal time (0.4, 1) as in
    Kyutai's published recipe. ``guide`` moves the velocity that is learnt.
    """
    shape = (draws, *latents.shape)
    noise = torch.randn(shape, generator=rng, device=latents.device)
    normal = torch.randn(shape[:-1], generator=rng, device=latents.device)
    t = torch.sigmoid(0.4 + normal)
    noisy = torch.lerp(noise, latents.expand(shape), t[..., None])
    velocity = head(noisy, condition.expand(draws, *condition.shape), t, t)
    wanted = latents - noise if guide is None else latents - noise + guide(noisy, t)
    error = velocity.float() - wanted
    return error.square().mean(dim=-1).mean(dim=0)
