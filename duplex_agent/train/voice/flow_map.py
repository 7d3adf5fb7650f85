"""Losses of the flow head beyond plain flow matching: flow maps for few steps, and guidance.

Lagrangian self-distillation (arXiv 2505.18825; in speech CALM, arXiv 2509.06926): where a jump
from s arrives moves with its end t at the velocity that flow matching learnt for that place. The
derivative by t is exact (forward mode), so nothing is unrolled, and errors do not pile up over
halved intervals as in shortcut models.
"""

import torch
from torch import Tensor

from duplex_agent.voice.reference.flow import FlowHead

_FROM_NOISE = 0.5


def draw_jumps(shape: tuple[int, ...], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Starts and ends 0 <= s <= t <= 1 of ``shape``; every second jump starts at the noise.

    Uniform, unlike the times of flow matching: a reply of one step uses exactly (0, 1), which a
    logit-normal law never visits.
    """
    device = rng.device
    s = torch.rand(shape, generator=rng, device=device)
    s = s * (torch.rand(shape, generator=rng, device=device) >= _FROM_NOISE)
    return s, s + (1 - s) * torch.rand(shape, generator=rng, device=device)


def flow_map_loss(
    head: FlowHead, latents: Tensor, condition: Tensor, draws: int, rng: torch.Generator
) -> Tensor:
    """Mean squared Lagrangian error per token, [tokens], over ``draws`` jumps each.

    ``latents`` [tokens, latent], ``condition`` [tokens, width].
    """
    shape = (draws, *latents.shape)
    noise = torch.randn(shape, generator=rng, device=latents.device)
    s, t = draw_jumps(shape[:-1], rng)
    start = torch.lerp(noise, latents.expand(shape), s[..., None])
    conditions = condition.expand(draws, *condition.shape)

    def arrive(end: Tensor) -> Tensor:
        return start + (end - s)[..., None] * head(start, conditions, s, end).float()

    arrived, moving = torch.func.jvp(arrive, (t,), (torch.ones_like(t),))  # type: ignore[misc]
    with torch.no_grad():
        wanted = head(arrived, conditions, t, t).float()
    return (moving - wanted).square().mean(dim=-1).mean(dim=0)
