"""First stage of recipe ``ear``: Whisper's encoder learns to hear tick by tick and to spell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent import assets
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.model import checkpoint
from duplex_agent.model.ear import BLANK, CHARACTERS, EarConfig, EarEncoder
from duplex_agent.model.whisper_weights import encoder_state
from duplex_agent.train.ear_data import RowMaker, character_ids, load_corpus, make_corpus
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.user_speech import Engine

ENCODER_FILE = "ear-encoder.safetensors"
SPEECH_FOLDER = "user-speech"
CORPUS_SEED = 11
SHARES = {"kokoro": 0.4, "piper": 0.15, "flite": 0.3, "espeak": 0.15}


@dataclass(frozen=True)
class EncoderPlan:
    """What the encoder stage hears and how big it is."""

    ear: EarConfig
    counts: dict[Engine, int]
    rows: int
    row_ticks: int
    from_whisper: bool
    head_steps: int
    """Steps in which the fresh character head learns alone: it would ruin Whisper's weights."""


@dataclass(frozen=True)
class EncoderBatch:
    """``pcm`` [B, n], positions of the first features [B], character ids of every row."""

    pcm: Tensor
    offset: Tensor
    targets: list[list[int]]
    head_only: bool


FULL = EncoderPlan(
    EarConfig(),
    {"kokoro": 1400, "piper": 1400, "flite": 4200, "espeak": 2200},
    rows=8,
    row_ticks=75,
    from_whisper=True,
    head_steps=300,
)
SMOKE = EncoderPlan(
    EarConfig(width=64, heads=2, depth=2, context_ticks=10, positions=1500),
    {"flite": 12, "espeak": 12},
    rows=4,
    row_ticks=60,
    from_whisper=False,
    head_steps=5,
)


class EncoderRecipe(Recipe):
    """CTC over characters at 50 Hz, every weight trainable, Whisper's with a smaller rate."""

    name = "ear-encoder"

    def __init__(self, plan: EncoderPlan) -> None:
        self.plan = plan
        self.rows: RowMaker | None = None

    def prepare(self, work: Path) -> None:
        folder = work / SPEECH_FOLDER
        make_corpus(folder, self.plan.counts, CORPUS_SEED)
        samples = self.plan.row_ticks * USER_TICK_SAMPLES
        self.rows = RowMaker(load_corpus(folder), samples, SHARES)

    def model(self) -> nn.Module:
        encoder = EarEncoder(self.plan.ear)
        if self.plan.from_whisper:
            state = encoder_state(assets.path("whisper-tiny.en"))
            encoder.load_state_dict(state, strict=False)
        # Start by predicting blanks: CTC gets there first anyway, and slowly.
        nn.init.normal_(encoder.characters.weight, std=0.01)
        nn.init.zeros_(encoder.characters.bias)
        return encoder

    def parameter_groups(self, model: nn.Module, lr: float) -> list[dict[str, Any]]:
        head = [p for n, p in model.named_parameters() if n.startswith("characters")]
        body = [p for n, p in model.named_parameters() if not n.startswith("characters")]
        return [{"params": body, "lr": lr}, {"params": head, "lr": 8 * lr}]

    def batch(self, step: int, rng: np.random.Generator) -> EncoderBatch:
        assert self.rows is not None
        drawn = [self.rows.row(rng) for _ in range(self.plan.rows)]
        pcm = torch.from_numpy(np.stack([sound for sound, _ in drawn]))
        offset = torch.from_numpy(rng.integers(0, self.plan.ear.positions, len(drawn)))
        targets = [[i for words in said for i in character_ids(words)] for _, said in drawn]
        return EncoderBatch(pcm, offset, targets, step < self.plan.head_steps)

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, EarEncoder)
        device = model.positions.device
        with torch.set_grad_enabled(not batch.head_only):
            features = model(batch.pcm.to(device), batch.offset.to(device))
        return ctc(model.logits(features), batch.targets), {}

    def export(self, model: nn.Module, out: Path) -> None:
        tensors = dict(model.state_dict())
        checkpoint.save(out / ENCODER_FILE, tensors, {"characters": CHARACTERS}, int8=False)


def ctc(spelled: Tensor, targets: list[list[int]]) -> Tensor:
    """CTC loss per character of log-probabilities [B, T, characters] against character ids."""
    lengths = torch.tensor([len(t) for t in targets])
    flat = torch.tensor([i for t in targets for i in t], dtype=torch.long)
    frames = torch.full((len(targets),), spelled.shape[1], dtype=torch.long)
    losses = F.ctc_loss(
        spelled.transpose(0, 1), flat, frames, lengths, BLANK, "sum", zero_infinity=True
    )
    return losses / max(1, int(lengths.sum()))


def build(smoke: bool) -> tuple[EncoderRecipe, LoopConfig]:
    """The recipe and how it is optimised."""
    if smoke:
        return EncoderRecipe(SMOKE), LoopConfig(
            steps=60, lr=2e-3, warmup=10, ema=0.9, precision="fp32", log_every=5
        )
    return EncoderRecipe(FULL), LoopConfig(steps=1800, lr=1.2e-4, warmup=100, ema=0.99)
