"""Recipe ``ear``: Whisper's encoder learns to hear tick by tick and to spell; words are counted.

The encoder learns from synthetic users with CTC over characters. What the word search knows of
English is counted from the training text and from the thinker's own vocabulary when the weights
are exported.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent import assets
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.model.ear import BLANK, EarConfig, EarEncoder
from duplex_agent.model.ear_stream import save_ear
from duplex_agent.model.language_model import find_language_model
from duplex_agent.model.lexicon import Lexicon
from duplex_agent.model.prepared import prepared_text
from duplex_agent.model.thinker import DEFAULT_MODEL
from duplex_agent.model.whisper_weights import encoder_state
from duplex_agent.train.ear_data import RowMaker, character_ids, load_corpus, make_corpus
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.user_speech import Engine
from duplex_agent.train.user_text import find_names, heard_form, user_sentences

SPEECH_FOLDER = "user-speech"
CORPUS_SEED = 11
_TEXT_SEED = 5
_RARE_WORD = re.compile(r" [a-z]{4,}")
SHARES = {"kokoro": 0.25, "piper": 0.3, "flite": 0.3, "espeak": 0.15}


@dataclass(frozen=True)
class EarPlan:
    """What is heard and read, and how big the encoder is."""

    ear: EarConfig
    counts: dict[Engine, int]
    rows: int
    row_ticks: int
    from_whisper: bool
    sentences: int
    head_steps: int
    """Steps in which the fresh character head learns alone: it would ruin Whisper's weights."""


@dataclass(frozen=True)
class EarBatch:
    """``pcm`` [B, n], positions of the first features [B], character ids of every row."""

    pcm: Tensor
    offset: Tensor
    targets: list[list[int]]
    head_only: bool


FULL = EarPlan(
    EarConfig(),
    {"kokoro": 600, "piper": 4900, "flite": 4200, "espeak": 2200},
    rows=8,
    row_ticks=75,
    from_whisper=True,
    sentences=150_000,
    head_steps=300,
)
SMOKE = EarPlan(
    EarConfig(width=64, heads=2, depth=2, context_ticks=10, positions=1500),
    {"flite": 12, "espeak": 12},
    rows=4,
    row_ticks=60,
    from_whisper=False,
    sentences=200,
    head_steps=5,
)


class EarRecipe(Recipe):
    """CTC over characters at 50 Hz, every weight trainable, Whisper's with a smaller rate."""

    name = "ear"

    def __init__(self, plan: EarPlan) -> None:
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
        return [{"params": body, "lr": lr}, {"params": head, "lr": 16 * lr}]

    def batch(self, step: int, rng: np.random.Generator) -> EarBatch:
        assert self.rows is not None
        drawn = [self.rows.row(rng) for _ in range(self.plan.rows)]
        pcm = torch.from_numpy(np.stack([sound for sound, _ in drawn]))
        offset = torch.from_numpy(rng.integers(0, self.plan.ear.positions, len(drawn)))
        targets = [[i for words in said for i in character_ids(words)] for _, said in drawn]
        return EarBatch(pcm, offset, targets, step < self.plan.head_steps)

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, EarEncoder)
        device = model.positions.device
        with torch.set_grad_enabled(not batch.head_only):
            features = model(batch.pcm.to(device), batch.offset.to(device))
        return ctc(model.logits(features), batch.targets), {}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, EarEncoder)
        sentences = user_sentences(self.plan.sentences, _TEXT_SEED)
        lexicon = build_lexicon(sentences, text_pieces())
        save_ear(out / f"{self.name}.safetensors", model, lexicon, find_names(sentences))


def text_pieces() -> list[str]:
    """The texts of the thinker's vocabulary."""
    return prepared_text(find_language_model(DEFAULT_MODEL)).tokenizer.pieces


def build_lexicon(sentences: list[str], pieces: list[str]) -> Lexicon:
    """Words of ``sentences``, and rare ones that the thinker knows as one piece."""
    heard = (heard_form(sentence) for sentence in sentences)
    rare = [p[1:] for p in pieces if _RARE_WORD.fullmatch(p)]
    return Lexicon.from_sentences(heard, rare, at_least=2)


def ctc(spelled: Tensor, targets: list[list[int]]) -> Tensor:
    """CTC loss per character of log-probabilities [B, T, characters] against character ids."""
    lengths = torch.tensor([len(t) for t in targets])
    flat = torch.tensor([i for t in targets for i in t], dtype=torch.long)
    frames = torch.full((len(targets),), spelled.shape[1], dtype=torch.long)
    losses = F.ctc_loss(
        spelled.transpose(0, 1), flat, frames, lengths, BLANK, "sum", zero_infinity=True
    )
    return losses / max(1, int(lengths.sum()))


def build(smoke: bool) -> tuple[EarRecipe, LoopConfig]:
    """The recipe and how it is optimised."""
    if smoke:
        return EarRecipe(SMOKE), LoopConfig(
            steps=60, lr=2e-3, warmup=10, ema=0.9, precision="fp32", log_every=5
        )
    return EarRecipe(FULL), LoopConfig(steps=3000, lr=2e-4, warmup=100, ema=0.99)
