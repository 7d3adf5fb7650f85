"""Losses of the head on flows small enough to know the answer."""

import pytest
import torch
from torch import Tensor, nn

from duplex_agent.train.recipes.mouth_distill import guide
from duplex_agent.train.recipes.mouth_energy import energy_loss
from duplex_agent.train.voice.flow_map import draw_jumps, flow_map_loss
from duplex_agent.voice.config import FlowConfig, Sampling
from duplex_agent.voice.reference.flow import FlowHead, flow_matching_loss


def _distance(a: Tensor, b: Tensor) -> float:
    """Energy distance of two sets of points."""
    between = 2 * torch.cdist(a, b).mean()
    return float(between - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def _two_points(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points of two clusters on an axis that the condition names: their mean is never right."""
    axis = torch.randint(2, (count, 1), generator=rng)
    side = torch.randint(2, (count, 1), generator=rng) * 2.0 - 1
    points = torch.cat([side * (axis == 0), side * (axis == 1)], dim=1)
    return points + 0.15 * torch.randn(count, 2, generator=rng), axis * 2.0 - 1


@pytest.mark.timeout(300)
def test_one_jump_of_a_distilled_flow_lands_where_many_small_steps_do() -> None:
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    head = FlowHead(2, 1, FlowConfig(width=48, blocks=2))
    optimiser = torch.optim.AdamW(head.parameters(), lr=4e-3)
    for step in range(420):
        points, condition = _two_points(96, rng)
        loss = flow_matching_loss(head, points, condition, 3, rng).mean()
        if step >= 240:
            loss = 0.75 * loss + 0.25 * flow_map_loss(head, points, condition, 1, rng).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1.0, 0.05 + (420 - step) / 150)
    points, condition = _two_points(1500, rng)
    noise = torch.randn(1500, 2, generator=rng)
    with torch.no_grad():
        one_instant = head.sample(condition, noise, 1)
        reference = head.sample(condition, noise, 16)
        head.sampling = Sampling.FLOW_MAP
        jumps = {steps: head.sample(condition, noise, steps) for steps in (1, 2, 16)}
    assert _distance(reference, points) < 0.02
    assert _distance(one_instant, points) > 0.2
    for jumped in jumps.values():
        assert _distance(jumped, points) < 0.03


class _ToOnePoint(nn.Module):
    """The flow to a single point, the condition; ``power`` 1 is its exact map."""

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, noisy: Tensor, condition: Tensor, s: Tensor, t: Tensor) -> Tensor:
        left = (1 - s) ** self.power * (1 - t) ** (1 - self.power)
        return (condition - noisy) / left[..., None]


@pytest.mark.parametrize(("power", "is_map"), [(1.0, True), (0.9, False)])
def test_only_the_exact_map_of_a_flow_has_no_lagrangian_error(power: float, is_map: bool) -> None:
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(64, 3, generator=rng)
    error = flow_map_loss(_ToOnePoint(power), points, points, 4, rng).mean()  # type: ignore[arg-type]
    assert (error < 1e-6) == is_map


def test_jumps_go_forward_and_every_second_one_starts_at_the_noise() -> None:
    s, t = draw_jumps((4000,), torch.Generator().manual_seed(0))
    assert bool(((s >= 0) & (s <= t) & (t <= 1)).all())
    assert float((s == 0).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_guidance_leads_past_the_told_velocity_and_not_at_all_at_strength_one() -> None:
    torch.manual_seed(0)
    head = FlowHead(3, 2, FlowConfig(width=16, blocks=1))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    conditional, unconditional = torch.randn(5, 2), torch.zeros(5, 2)
    noisy, t = torch.randn(4, 5, 3), torch.rand(4, 5)
    assert not guide(head, conditional, unconditional, 1.0)(noisy, t).any()
    moved = guide(head, conditional, unconditional, 3.0)(noisy, t)
    gap = head(noisy, conditional.expand(4, 5, 2), t, t) - head(
        noisy, unconditional.expand(4, 5, 2), t, t
    )
    torch.testing.assert_close(moved, 2 * gap)


class _Scaled(nn.Module):
    """A generator whose tokens are ``size`` times the noise."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = size

    def forward(self, noisy: Tensor, condition: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return (self.size - 1) * noisy


def test_the_energy_distance_is_least_for_the_true_spread() -> None:
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(5000, 2, generator=rng)
    errors = {
        size: float(energy_loss(_Scaled(size), points, points, 2, rng).mean())  # type: ignore[arg-type]
        for size in (0.0, 0.6, 1.0, 1.6)
    }
    assert min(errors, key=errors.__getitem__) == 1.0
    # Twice the mean length of a normal vector in the plane: what a collapsed generator pays.
    assert errors[0.0] == pytest.approx(2.507, abs=0.05)
