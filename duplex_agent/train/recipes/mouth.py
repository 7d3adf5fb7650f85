"""Recipe ``mouth``: the talker and its flow head on the teacher's tokens, phones and timings."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.model import checkpoint
from duplex_agent.model.flow import FlowConfig, flow_matching_loss
from duplex_agent.model.latents import LatentTransform
from duplex_agent.model.mouth import SLOTS_PER_TICK, TICKS_SEEN, Mouth, MouthConfig
from duplex_agent.model.phones import PHONE_ID, PHONES
from duplex_agent.model.slots import phone_shares
from duplex_agent.train.agent_speech import Utterance, prepare_speech, read_corpus
from duplex_agent.train.latent_cache import TRANSFORM_FILE, fit_transform
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.thinker_states import read_states

_TAIL_TICKS = 2
_DRAWS = 4


@dataclass(frozen=True)
class _Example:
    latents: NDArray[np.float16]  # [ticks, 64]
    phones: NDArray[np.int64]
    ends_s: NDArray[np.float64]
    thinker: NDArray[np.float16] | None  # [ticks, 576]


@dataclass(frozen=True)
class MouthBatch:
    """Padded rows: latents [B, T, 64], slots [B, T, 12, phones], thinker [B, T, 576], mask."""

    latents: Tensor
    slots: Tensor
    thinker: Tensor
    mask: Tensor


class MouthRecipe(Recipe):
    """Flow matching with corrupted history and the thinker's state dropped half of the time."""

    name = "mouth"

    def __init__(self, smoke: bool, config: MouthConfig, batch: int) -> None:
        self.smoke, self.config, self.batch_size = smoke, config, batch
        self.examples: list[_Example] = []

    def prepare(self, work: Path) -> None:
        speech = prepare_speech(work, self.smoke)
        transform = fit_transform(speech, speech / TRANSFORM_FILE)
        states = read_states(speech)
        for utterance in track(list(read_corpus(speech)), "encoding speech", transient=True):
            if all(p in PHONE_ID for p in utterance.phones):
                self.examples.append(self._example(utterance, transform, states))

    def _example(
        self,
        utterance: Utterance,
        transform: LatentTransform,
        states: dict[str, NDArray[np.float16]],
    ) -> _Example:
        ticks = -(-len(utterance.pcm) // AGENT_TICK_SAMPLES) + _TAIL_TICKS
        pcm = np.zeros(ticks * AGENT_TICK_SAMPLES, np.float32)
        pcm[: len(utterance.pcm)] = utterance.pcm / np.float32(32768)
        with torch.inference_mode():
            latents = transform.encode(torch.from_numpy(pcm)[None])[0].numpy()
        return _Example(
            latents.astype(np.float16),
            np.array([PHONE_ID[p] for p in utterance.phones]),
            np.cumsum(utterance.durations_s, dtype=np.float64),
            states.get(utterance.text),
        )

    def model(self) -> nn.Module:
        return Mouth(self.config)

    def batch(self, step: int, rng: np.random.Generator) -> MouthBatch:
        # Rows of similar length waste little padding: draw a pool, take a run of neighbours.
        drawn = rng.integers(len(self.examples), size=self.batch_size * 4)
        pool = sorted(drawn.tolist(), key=lambda i: len(self.examples[i].latents))
        start = rng.integers(len(pool) - self.batch_size + 1)
        rows = [self.examples[i] for i in pool[start : start + self.batch_size]]
        # Few distinct shapes: the CPU's matrix kernels are compiled anew for each one.
        ticks = -(-max(len(r.latents) for r in rows) // 8) * 8
        latents = np.zeros((len(rows), ticks, rows[0].latents.shape[1]), np.float32)
        slots = np.zeros((len(rows), ticks, SLOTS_PER_TICK * TICKS_SEEN, len(PHONES)), np.float32)
        thinker = np.zeros((len(rows), ticks, self.config.thinker_width), np.float32)
        mask = np.zeros((len(rows), ticks), bool)
        for i, row in enumerate(rows):
            count = len(row.latents)
            latents[i, :count], mask[i, :count] = row.latents, True
            shares = phone_shares(row.phones, row.ends_s, 0, (count + TICKS_SEEN) * SLOTS_PER_TICK)
            seen = np.arange(count)[:, None] * SLOTS_PER_TICK
            slots[i, :count] = shares[seen + np.arange(SLOTS_PER_TICK * TICKS_SEEN)]
            if row.thinker is not None and rng.random() < 0.5:
                thinker[i, : len(row.thinker)] = row.thinker[:count]
        return MouthBatch(*map(torch.from_numpy, (latents, slots, thinker, mask)))

    def loss(
        self, model: nn.Module, batch: MouthBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Mouth)
        previous = F.pad(batch.latents[:, :-1], (0, 0, 1, 0))
        # Free running never sees clean history, so training must not either.
        rows = len(previous)
        spread = torch.rand(rows, 1, 1, generator=rng) * 0.5
        spread = spread * (torch.rand(rows, 1, 1, generator=rng) < 0.7)
        heard = previous + spread * torch.randn(previous.shape, generator=rng)
        talked, _ = model.talk(batch.slots, heard, batch.thinker, model.new_state(rows))
        condition = model.condition(talked, heard)
        errors = flow_matching_loss(
            model.head, batch.latents.flatten(0, 1), condition.flatten(0, 1), _DRAWS, rng
        )
        mask = batch.mask.flatten()
        loss = (errors * mask).sum() / mask.sum()
        return loss, {"flow": float(loss.detach())}

    def export(self, model: nn.Module, out: Path) -> None:
        checkpoint.save(out / "mouth.safetensors", model.state_dict(), {"recipe": self.name}, True)


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: one to two hours of one core with AMX; smoke: under a minute."""
    loop = LoopConfig(steps=2900, lr=6e-4, warmup=200, ema=0.998, weight_decay=0.01)
    if smoke:
        small = MouthConfig(
            width=64, layers=2, heads=2, feed_forward=128, flow=FlowConfig(width=64, blocks=2)
        )
        loop = replace(loop, steps=120, warmup=5, log_every=5, ema=0.9, precision="fp32", lr=3e-3)
        return MouthRecipe(True, small, batch=8), loop
    return MouthRecipe(False, MouthConfig(), batch=24), loop
