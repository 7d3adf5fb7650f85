"""Recipe ``mouth-distill``: the head of a trained mouth learns to reach a token in one step."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.recipes.mouth import (
    SMOKE_CONFIG,
    MouthBatch,
    corrupted_history,
    masked_mean,
    talk_through,
)
from duplex_agent.train.recipes.mouth_start import ContinuedMouthRecipe
from duplex_agent.train.voice.flow_map import flow_map_loss
from duplex_agent.voice.config import MouthConfig, Sampling
from duplex_agent.voice.reference.flow import FlowHead, Guide, flow_matching_loss
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.mouth_file import load_mouth, save_mouth

# Three quarters of the draws stay plain flow matching (CALM's share): it keeps the many-step model
# as good as it was, and it is what the jumps are measured by.
_FLOW_DRAWS, _JUMP_DRAWS = 3, 1
_JUMP_WEIGHT = 0.25
# As in CALM. Guided speech follows its phones more closely and varies less.
_GUIDANCE = 1.5


class DistilledMouth(nn.Module):
    """The mouth that is trained (ships), and its head as it was (does not).

    The talker is frozen. One step and sixteen then differ by the head alone, its weights stay
    those of the mouth it came from bit for bit, and a training step is spared its backward pass.
    What one step's errors do to its history it has met already: as noise on that history.
    """

    def __init__(self, mouth: Mouth, guided: bool) -> None:
        super().__init__()
        self.mouth = mouth.requires_grad_(False)
        self.teacher = copy.deepcopy(mouth.head)
        self.mouth.head.requires_grad_(True)
        self.mouth.head.sampling = Sampling.FLOW_MAP
        self.guided = guided


def guide(teacher: FlowHead, condition: Tensor, unconditional: Tensor, strength: float) -> Guide:
    """Classifier-free guidance of ``teacher``, from ``unconditional`` past ``condition``."""

    def move(noisy: Tensor, t: Tensor) -> Tensor:
        with torch.no_grad():
            conditional = teacher(noisy, condition.expand(*t.shape, -1), t, t)
            return (strength - 1) * (
                conditional - teacher(noisy, unconditional.expand(*t.shape, -1), t, t)
            )

    return move


class MouthDistillRecipe(ContinuedMouthRecipe):
    """Lagrangian self-distillation beside flow matching, with guidance baked into both."""

    name = "mouth-distill"
    notes: ClassVar[dict[str, str]] = {"guidance": str(_GUIDANCE)}

    def model(self) -> nn.Module:
        mouth, notes = load_mouth(self.start, self.config)
        # A mouth that never spoke without its talker cannot tell what to be led away from.
        return DistilledMouth(mouth, guided="condition_dropout" in notes)

    def loss(
        self, model: nn.Module, batch: MouthBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, DistilledMouth)
        mouth, head = model.mouth, model.mouth.head
        batch = batch.to(rng.device)
        with torch.no_grad():
            latents = mouth.normalise(batch.latents)
            heard = corrupted_history(latents, rng)
            talked = talk_through(mouth, batch, heard)
            condition = mouth.condition(talked, heard).flatten(0, 1)
            unconditional = mouth.condition(torch.zeros_like(talked), heard).flatten(0, 1)
        tokens = latents.flatten(0, 1)
        lead = guide(model.teacher, condition, unconditional, _GUIDANCE) if model.guided else None
        flow = flow_matching_loss(head, tokens, condition, _FLOW_DRAWS, rng, lead)
        jump = flow_map_loss(head, tokens, condition, _JUMP_DRAWS, rng)
        flow, jump = masked_mean(flow, batch.mask), masked_mean(jump, batch.mask)
        total = (1 - _JUMP_WEIGHT) * flow + _JUMP_WEIGHT * jump
        return total, {"flow": float(flow.detach()), "jump": float(jump.detach())}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, DistilledMouth)
        save_mouth(out / f"{self.name}.safetensors", model.mouth, self.name, self.notes)


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: about an hour of one core with AMX; smoke: seconds."""
    loop = LoopConfig(steps=800, lr=4e-4, warmup=100, ema=0.998, weight_decay=0.01)
    if smoke:
        loop = replace(loop, steps=60, warmup=5, log_every=5, ema=0.9, precision="fp32", lr=2e-3)
        return MouthDistillRecipe(True, SMOKE_CONFIG, batch=8), loop
    return MouthDistillRecipe(False, MouthConfig(), batch=24), loop
