"""Recipe ``mouth-energy``: an ablation in which the head makes a token in one pass, without a flow.

The energy distance of SLED (arXiv 2505.13181): two tokens made from the same condition are drawn
to the teacher's and pushed away from each other. Talker and head are recipe ``mouth``'s and start
from its trained weights.
"""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.recipes import mouth
from duplex_agent.train.recipes.mouth import (
    ABLATION_STEPS,
    DRAWS,
    SMOKE_CONFIG,
    MouthBatch,
    corrupted_history,
    masked_mean,
    talk_through,
)
from duplex_agent.train.recipes.mouth_start import ContinuedMouthRecipe
from duplex_agent.voice.config import MouthConfig, Sampling
from duplex_agent.voice.reference.flow import FlowHead
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.mouth_file import load_mouth


def energy_loss(
    head: FlowHead, latents: Tensor, condition: Tensor, draws: int, rng: torch.Generator
) -> Tensor:
    """Energy distance of ``draws`` >= 2 made tokens to the true one, [tokens].

    Up to a constant of the data: it may fall below zero. ``latents`` [tokens, latent],
    ``condition`` [tokens, width].
    """
    shape = (draws, *latents.shape)
    noise = torch.randn(shape, generator=rng, device=latents.device)
    zero = noise.new_zeros(shape[:-1])
    conditions = condition.expand(draws, *condition.shape)
    made = noise + head(noise, conditions, zero, zero + 1).float()
    near = torch.linalg.vector_norm(made - latents, dim=-1).mean(dim=0)
    first, second = torch.triu_indices(draws, draws, 1, device=made.device)
    apart = torch.linalg.vector_norm(made[first] - made[second], dim=-1).mean(dim=0)
    return 2 * near - apart


class MouthEnergyRecipe(ContinuedMouthRecipe):
    """One-pass tokens by energy distance, everything else as in recipe ``mouth``."""

    name = "mouth-energy"
    notes: ClassVar[dict[str, str]] = {}

    def model(self) -> nn.Module:
        model, _ = load_mouth(self.start, self.config)
        model.head.sampling = Sampling.ONE_PASS
        return model

    def loss(
        self, model: nn.Module, batch: MouthBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Mouth)
        batch = batch.to(rng.device)
        latents = model.normalise(batch.latents)
        heard = corrupted_history(latents, rng)
        condition = model.condition(talk_through(model, batch, heard), heard)
        errors = energy_loss(model.head, latents.flatten(0, 1), condition.flatten(0, 1), DRAWS, rng)
        return masked_mean(errors, batch.mask), {}


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Rate and sizes of recipe ``mouth``, so that only the head's loss differs."""
    _, loop = mouth.build(smoke)
    config, batch = (SMOKE_CONFIG, 8) if smoke else (MouthConfig(), 24)
    loop = loop if smoke else replace(loop, steps=ABLATION_STEPS)
    return MouthEnergyRecipe(smoke, config, batch), loop
