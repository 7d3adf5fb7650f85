"""Recipe ``ear``: Whisper's encoder learns to hear tick by tick as it hears whole recordings.

The teacher is Whisper's encoder itself, hearing the clean recording with full attention; the
student hears what a microphone would, with a few ticks of look-ahead, another number of them in
every step; in every other step it hears the whole row as well, as the full-context re-decode does
in pauses. A character head learns beside it with CTC. Whisper's decoder then reads the student's
features as it reads the teacher's.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from duplex_agent import assets
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK, EarConfig
from duplex_agent.ear.hearing import LOOK_AHEADS
from duplex_agent.ear.reference.encoder import EarEncoder
from duplex_agent.ear.reference.encoder_file import save_ear
from duplex_agent.ear.whisper_weights import encoder_state
from duplex_agent.train.data.user_speech import Engine
from duplex_agent.train.ear.ctc import ctc
from duplex_agent.train.ear.rows import RowMaker, character_ids, load_corpus, make_corpus
from duplex_agent.train.loop import LoopConfig, Recipe

SPEECH_FOLDER = "user-speech"
CORPUS_SEED = 11
MIXTURE = {"kokoro": 0.55, "piper": 0.15, "flite": 0.1, "festival": 0.05, "espeak": 0.15}
_CTC_WEIGHT = 0.1
# Recordings mostly begin with a turn, so half of the rows begin where Whisper's own windows do.
_FROM_THE_START = 0.5


@dataclass(frozen=True)
class EarPlan:
    """What is heard and read, and how big the encoder is."""

    ear: EarConfig
    counts: dict[Engine, int]
    rows: int
    row_ticks: int
    from_whisper: bool
    head_steps: int
    """Steps in which the fresh character head learns alone: it would ruin Whisper's weights."""


@dataclass(frozen=True)
class EarBatch:
    """``heard`` and ``clean`` [B, n], position of the first features [B], character ids of every
    row, and how far ahead the student may hear: None for to the end.
    """

    heard: Tensor
    clean: Tensor
    offset: Tensor
    targets: list[list[int]]
    look_ahead_ticks: int | None
    head_only: bool


class DistilledEar(nn.Module):
    """The ear that is trained (ships), and the encoder it is to equal (does not)."""

    def __init__(self, student: EarEncoder) -> None:
        super().__init__()
        self.student = student
        self.teacher = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def wanted(self, clean: Tensor, offset: Tensor) -> Tensor:
        """The teacher's features [B, T, width] of ``clean`` [B, n] with full context."""
        return self.teacher(clean, offset, full_context=True)


FULL = EarPlan(
    EarConfig(),
    {"kokoro": 1000, "piper": 3600, "flite": 3000, "festival": 400, "espeak": 2200},
    rows=8,
    row_ticks=75,
    from_whisper=True,
    head_steps=100,
)
SMOKE = EarPlan(
    EarConfig(width=64, heads=2, depth=2, context_ticks=10, positions=1500),
    {"flite": 12, "festival": 6, "espeak": 12},
    rows=4,
    row_ticks=60,
    from_whisper=False,
    head_steps=5,
)


class EarRecipe(Recipe):
    """Features like the teacher's, and CTC; Whisper's weights move with a smaller rate."""

    name = "ear"

    def __init__(self, plan: EarPlan) -> None:
        self.plan = plan
        self.rows: RowMaker | None = None

    def prepare(self, work: Path) -> None:
        folder = work / SPEECH_FOLDER
        make_corpus(folder, self.plan.counts, CORPUS_SEED)
        samples = self.plan.row_ticks * USER_TICK_SAMPLES
        self.rows = RowMaker(load_corpus(folder), samples, MIXTURE)

    def model(self) -> nn.Module:
        encoder = EarEncoder(self.plan.ear)
        if self.plan.from_whisper:
            state = encoder_state(assets.path("whisper-tiny.en"))
            tensors = {name: torch.from_numpy(array) for name, array in state.items()}
            encoder.load_state_dict(tensors, strict=False)
        # Start by predicting blanks: CTC gets there first anyway, and slowly.
        last = encoder.characters[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        return DistilledEar(encoder)

    def parameter_groups(self, model: nn.Module, lr: float) -> list[dict[str, Any]]:
        assert isinstance(model, DistilledEar)
        head = list(model.student.characters.parameters())
        body = [p for n, p in model.student.named_parameters() if not n.startswith("characters")]
        return [{"params": body, "lr": lr}, {"params": head, "lr": 16 * lr}]

    def batch(self, step: int, rng: np.random.Generator) -> EarBatch:
        assert self.rows is not None
        drawn = [self.rows.row(rng) for _ in range(self.plan.rows)]
        heard = torch.from_numpy(np.stack([row.heard for row in drawn]))
        clean = torch.from_numpy(np.stack([row.clean for row in drawn]))
        # No wrap inside a row: the streaming ear begins again at 0 before it comes to that.
        last = self.plan.ear.positions - self.plan.row_ticks * FEATURES_PER_TICK
        offset = rng.integers(0, last, len(drawn)) * (rng.random(len(drawn)) >= _FROM_THE_START)
        turn, heard_whole = divmod(step, 2)
        ahead = None
        if heard_whole:
            offset = np.zeros_like(offset)
        else:
            ahead = min(LOOK_AHEADS[turn % len(LOOK_AHEADS)], self.plan.ear.depth)
        targets = [[i for words in row.said for i in character_ids(words)] for row in drawn]
        head_only = step < self.plan.head_steps
        return EarBatch(heard, clean, torch.from_numpy(offset), targets, ahead, head_only)

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, DistilledEar)
        student, device = model.student, rng.device
        heard, clean, offset = (x.to(device) for x in (batch.heard, batch.clean, batch.offset))
        whole = batch.look_ahead_ticks is None
        student.look_ahead_ticks = 0 if whole else batch.look_ahead_ticks
        with torch.set_grad_enabled(not batch.head_only):
            features = student(heard, offset, full_context=whole)
        wanted = model.wanted(clean, offset)
        apart = (features - wanted).square().mean() / wanted.var()
        spelling = ctc(student.logits(features), batch.targets)
        metrics = {"apart": float(apart.detach()), "ctc": float(spelling.detach())}
        return apart + _CTC_WEIGHT * spelling, metrics

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, DistilledEar)
        save_ear(out / f"{self.name}.safetensors", model.student)


def build(smoke: bool) -> tuple[EarRecipe, LoopConfig]:
    """The recipe and how it is optimised."""
    if smoke:
        return EarRecipe(SMOKE), LoopConfig(
            steps=60, lr=2e-3, warmup=10, ema=0.9, precision="fp32", log_every=5
        )
    return EarRecipe(FULL), LoopConfig(steps=2600, lr=3e-4, warmup=100, ema=0.99)
