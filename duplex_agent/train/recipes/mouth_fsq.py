"""Recipe ``mouth-fsq``: the discrete baseline, the same mouth trained on codes of the same tokens.

Talker, network of the head, data, history corruption and number of draws are recipe ``mouth``'s.
What differs: history and target are rounded, and the loss is cross-entropy. It starts from a
trained mouth, all but the last layer of its head: rounding to 31 levels changes what the talker
hears by less than its training noise, so this is a fair start.
"""

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
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
from duplex_agent.train.recipes.mouth_start import ContinuedMouthRecipe, take_over
from duplex_agent.voice.config import LATENT_WIDTH, MouthConfig
from duplex_agent.voice.reference.mouth_fsq import CodeMouth, from_codes, to_codes


def code_loss(
    model: CodeMouth, codes: Tensor, condition: Tensor, draws: int, rng: torch.Generator
) -> Tensor:
    """Cross-entropy in nats per code and token, [tokens], over ``draws`` prefixes each.

    ``codes`` [tokens, 48], ``condition`` [tokens, width]. Any number of leading dimensions may be
    known, so that the sampler may take any number of rounds.
    """
    shape = (draws, *codes.shape)
    known = torch.randint(LATENT_WIDTH, shape[:-1], generator=rng, device=codes.device)
    conditions = condition.expand(draws, *condition.shape)
    logits = model.logits(from_codes(codes).expand(shape), conditions, known).float()
    nats = F.cross_entropy(logits.flatten(0, 2), codes.expand(shape).flatten(), reduction="none")
    hidden = torch.arange(LATENT_WIDTH, device=codes.device) >= known[..., None]
    return ((nats.view(shape) * hidden).sum(dim=-1) / hidden.sum(dim=-1)).mean(dim=0)


class MouthFsqRecipe(ContinuedMouthRecipe):
    """Codes in, codes out; everything else as in recipe ``mouth``."""

    name = "mouth-fsq"
    notes: ClassVar[dict[str, str]] = {}

    def model(self) -> nn.Module:
        model = CodeMouth(self.config)
        take_over(model, self.start, self.config)
        return model

    def loss(
        self, model: nn.Module, batch: MouthBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, CodeMouth)
        batch = batch.to(rng.device)
        codes = to_codes(model.normalise(batch.latents))
        # Noise on the history moves it to neighbouring codes: the discrete form of the same blur.
        heard = from_codes(to_codes(corrupted_history(from_codes(codes), rng)))
        condition = model.condition(talk_through(model, batch, heard), heard)
        errors = code_loss(model, codes.flatten(0, 1), condition.flatten(0, 1), DRAWS, rng)
        return masked_mean(errors, batch.mask), {}


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Rate and sizes of recipe ``mouth``, so that only the kind of token differs."""
    _, loop = mouth.build(smoke)
    config, batch = (SMOKE_CONFIG, 8) if smoke else (MouthConfig(), 24)
    loop = loop if smoke else replace(loop, steps=ABLATION_STEPS)
    return MouthFsqRecipe(smoke, config, batch), loop
