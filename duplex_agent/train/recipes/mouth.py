"""Recipe ``mouth``: the talker and its flow head on the teacher's tokens, phones and timings."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from duplex_agent.train.data.agent_speech import Utterance, prepare_speech, read_corpus
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.recipes.latents import encoder_of
from duplex_agent.train.voice.latent_cache import Tokens, read_tokens
from duplex_agent.train.voice.thinker_states import read_states
from duplex_agent.voice.config import (
    LATENT_WIDTH,
    SLOTS_PER_TICK,
    TICKS_SEEN,
    FlowConfig,
    MouthConfig,
)
from duplex_agent.voice.phone_grid import phone_occupancy
from duplex_agent.voice.phones import PHONE_ID, PHONES
from duplex_agent.voice.reference.flow import flow_matching_loss
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.mouth_file import save_mouth

DRAWS = 4
ABLATION_STEPS = 800
"""Steps of the ablations, which start from a trained mouth."""
CONDITION_DROPOUT = 0.1
SMOKE_CONFIG = MouthConfig(
    width=64, layers=2, heads=2, feed_forward=128, flow=FlowConfig(width=64, blocks=2)
)


@dataclass(frozen=True)
class _Example:
    tokens: Tokens
    phones: NDArray[np.int64]
    ends_s: NDArray[np.float64]
    thinker: NDArray[np.float16] | None  # [ticks, 576]


@dataclass(frozen=True)
class MouthBatch:
    """Padded rows: latents [B, T, 48], slots [B, T, 12, phones], thinker [B, T, 576], mask."""

    latents: Tensor
    slots: Tensor
    thinker: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "MouthBatch":
        return MouthBatch(*(x.to(device) for x in vars(self).values()))


class MouthRecipe(Recipe):
    """Flow matching with corrupted history and the thinker's state dropped half of the time.

    One token in ten is learnt from the token before it alone: the difference between the two
    velocities is the guidance that recipe ``mouth-distill`` bakes in.
    """

    name = "mouth"
    notes: ClassVar[dict[str, str]] = {"condition_dropout": str(CONDITION_DROPOUT)}
    """What stands in the weight file beside the recipe."""

    def __init__(self, smoke: bool, config: MouthConfig, batch: int) -> None:
        self.smoke, self.config, self.batch_size = smoke, config, batch
        self.examples: list[_Example] = []

    def prepare(self, work: Path) -> None:
        speech = prepare_speech(work, self.smoke)
        states = read_states(speech)
        encoded = read_tokens(speech, partial(encoder_of, speech, self.smoke))
        columns = zip(read_corpus(speech), encoded, strict=True)
        for utterance, tokens in track(columns, "reading speech", transient=True):
            if all(p in PHONE_ID for p in utterance.phones):
                self.examples.append(_example(utterance, tokens, states))

    def model(self) -> nn.Module:
        model = Mouth(self.config)
        set_normalisation(model, [e.tokens for e in self.examples])
        return model

    def batch(self, step: int, rng: np.random.Generator) -> MouthBatch:
        # Rows of similar length waste little padding: draw a pool, take a run of neighbours.
        drawn = rng.integers(len(self.examples), size=self.batch_size * 4)
        pool = sorted(drawn.tolist(), key=lambda i: len(self.examples[i].tokens.mean))
        start = rng.integers(len(pool) - self.batch_size + 1)
        rows = [self.examples[i] for i in pool[start : start + self.batch_size]]
        # Few distinct shapes: the CPU's matrix kernels are compiled for each one.
        ticks = -(-max(len(r.tokens.mean) for r in rows) // 8) * 8
        latents = np.zeros((len(rows), ticks, LATENT_WIDTH), np.float32)
        slots = np.zeros((len(rows), ticks, SLOTS_PER_TICK * TICKS_SEEN, len(PHONES)), np.float32)
        thinker = np.zeros((len(rows), ticks, self.config.thinker_width), np.float32)
        mask = np.zeros((len(rows), ticks), bool)
        for i, row in enumerate(rows):
            count = len(row.tokens.mean)
            latents[i, :count], mask[i, :count] = row.tokens.draw(rng), True
            grid = phone_occupancy(row.phones, row.ends_s, 0, (count + TICKS_SEEN) * SLOTS_PER_TICK)
            seen = np.arange(count)[:, None] * SLOTS_PER_TICK
            slots[i, :count] = grid[seen + np.arange(SLOTS_PER_TICK * TICKS_SEEN)]
            if row.thinker is not None and rng.random() < 0.5:
                thinker[i, : len(row.thinker)] = row.thinker[:count]
        return MouthBatch(*map(torch.from_numpy, (latents, slots, thinker, mask)))

    def loss(
        self, model: nn.Module, batch: MouthBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Mouth)
        batch = batch.to(rng.device)
        latents = model.normalise(batch.latents)
        heard = corrupted_history(latents, rng)
        talked = talk_through(model, batch, heard)
        drawn = torch.rand(*talked.shape[:2], 1, generator=rng, device=rng.device)
        condition = model.condition(talked * (drawn >= CONDITION_DROPOUT), heard)
        errors = flow_matching_loss(
            model.head, latents.flatten(0, 1), condition.flatten(0, 1), DRAWS, rng
        )
        loss = masked_mean(errors, batch.mask)
        return loss, {"flow": float(loss.detach())}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, Mouth)
        save_mouth(out / f"{self.name}.safetensors", model, self.name, self.notes)


def corrupted_history(latents: Tensor, rng: torch.Generator) -> Tensor:
    """The token before each of ``latents`` [B, T, 48], blurred by another amount in every row.

    Free running never sees clean history, so training must not either.
    """
    previous = F.pad(latents[:, :-1], (0, 0, 1, 0))
    shape, device = (len(previous), 1, 1), rng.device
    spread = torch.rand(shape, generator=rng, device=device) * 0.5
    spread = spread * (torch.rand(shape, generator=rng, device=device) < 0.7)
    return previous + spread * torch.randn(previous.shape, generator=rng, device=device)


def talk_through(model: Mouth, batch: MouthBatch, heard: Tensor) -> Tensor:
    """What the talker makes of whole rows with the history ``heard`` [B, T, 48], [B, T, D]."""
    return model.talk(batch.slots, heard, batch.thinker, model.new_state(len(heard)))[0]


def masked_mean(errors: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``errors`` [B * T] over the ticks that ``mask`` [B, T] says exist."""
    exists = mask.flatten()
    return (errors * exists).sum() / exists.sum()


def set_normalisation(model: Mouth, tokens: list[Tokens]) -> None:
    """Mean and spread of drawn tokens: that of the posteriors' means and their own."""
    means = np.concatenate([t.mean for t in tokens]).astype(np.float32)
    noise = np.concatenate([t.deviation for t in tokens]).astype(np.float32)
    spread = np.sqrt(means.var(axis=0) + np.square(noise).mean(axis=0))
    model.latent_mean.copy_(torch.from_numpy(means.mean(axis=0)))
    model.latent_deviation.copy_(torch.from_numpy(spread))


def _example(
    utterance: Utterance, tokens: Tokens, states: dict[str, NDArray[np.float16]]
) -> _Example:
    return _Example(
        tokens,
        np.array([PHONE_ID[p] for p in utterance.phones]),
        np.cumsum(utterance.durations_s, dtype=np.float64),
        states.get(utterance.text),
    )


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: one to two hours of one core with AMX; smoke: under a minute."""
    loop = LoopConfig(steps=4200, lr=6e-4, warmup=200, ema=0.998, weight_decay=0.01)
    if smoke:
        loop = replace(loop, steps=120, warmup=5, log_every=5, ema=0.9, precision="fp32", lr=3e-3)
        return MouthRecipe(True, SMOKE_CONFIG, batch=8), loop
    return MouthRecipe(False, MouthConfig(), batch=24), loop
