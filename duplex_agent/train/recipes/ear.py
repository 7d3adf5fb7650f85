"""Recipe ``ear``: after the encoder stage, the adapter learns to turn spelling into tokens.

It trains on text alone first (spelled as a character head would, mistakes included), then on what
the trained encoder makes of real sound, with the times from a forced alignment.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.model import checkpoint
from duplex_agent.model.adapter import Adapter, AdapterConfig
from duplex_agent.model.ear import CHARACTERS, FEATURES_PER_TICK, EarEncoder
from duplex_agent.model.ear_stream import save_ear
from duplex_agent.model.language_model import find_language_model
from duplex_agent.model.prepared import prepared_text
from duplex_agent.model.thinker import DEFAULT_MODEL
from duplex_agent.model.word_pieces import WordPieces, letter_pieces
from duplex_agent.train.align import align
from duplex_agent.train.ear_data import RowMaker, character_ids, load_corpus
from duplex_agent.train.heard_text import NOTHING, SpelledRows, find_names, piece_targets
from duplex_agent.train.loop import LoopConfig, Recipe, train
from duplex_agent.train.recipes import ear_encoder
from duplex_agent.train.user_text import heard_form, user_sentences

_TEXT_SEED = 5


@dataclass(frozen=True)
class AdapterPlan:
    """What the adapter learns from; ``text_steps`` come before the steps on sound."""

    adapter: AdapterConfig
    encoder: ear_encoder.EncoderPlan
    sentences: int
    text_steps: int
    text_rows: int


FULL = AdapterPlan(AdapterConfig(), ear_encoder.FULL, 150_000, text_steps=700, text_rows=48)
SMOKE = AdapterPlan(
    AdapterConfig(width=64, heads=2, depth=2, window_ticks=16, feature_width=64),
    ear_encoder.SMOKE,
    sentences=60,
    text_steps=30,
    text_rows=8,
)


@dataclass(frozen=True)
class TextBatch:
    """``spelled`` [B, frames, characters] and ``targets`` [B, N] indices into the vocabulary."""

    spelled: Tensor
    targets: Tensor


@dataclass(frozen=True)
class SoundBatch:
    """``pcm`` [B, n], ``offset`` [B], and the words said in each row in order."""

    pcm: Tensor
    offset: Tensor
    words: list[list[str]]


class EarRecipe(Recipe):
    """The adapter's loss is the surprise per piece: when it comes, and which one it is."""

    name = "ear"

    def __init__(self, plan: AdapterPlan, encoder_config: LoopConfig) -> None:
        self.plan = plan
        self.encoder_config = encoder_config

    def prepare(self, work: Path) -> None:
        self._train_encoder(work)
        text = prepared_text(find_language_model(DEFAULT_MODEL))
        sentences = user_sentences(self.plan.sentences, _TEXT_SEED)
        self.spell = WordPieces(text.tokenizer, find_names(sentences))
        heard = [h for s in sentences if (h := heard_form(s))]
        corpus = load_corpus(work / ear_encoder.SPEECH_FOLDER)
        words = {w for line in (*heard, *(said.words for said in corpus)) for w in line.split()}
        used = {piece for word in words for piece in self.spell.of(word)}
        self.vocabulary = sorted(used | set(letter_pieces(text.tokenizer.pieces)))
        self.index = {piece: i for i, piece in enumerate(self.vocabulary)}
        table = np.ascontiguousarray(text.embedding[self.vocabulary])
        self.table = torch.cat([torch.from_numpy(table), torch.zeros(1, table.shape[1])])
        self.text_rows = SpelledRows(heard, self.spell, self.plan.encoder.row_ticks)
        samples = self.plan.encoder.row_ticks * USER_TICK_SAMPLES
        self.sound_rows = RowMaker(corpus, samples, ear_encoder.SHARES)

    def _train_encoder(self, work: Path) -> None:
        stage = ear_encoder.EncoderRecipe(self.plan.encoder)
        file = work / ear_encoder.ENCODER_FILE
        if not file.exists():
            device = "cuda" if torch.cuda.is_available() else "cpu"
            train(stage, self.encoder_config, work, device, out=work)
        self.encoder = EarEncoder(self.plan.encoder.ear)
        tensors, _ = checkpoint.load(file)
        checkpoint.load_module(self.encoder, tensors)
        self.encoder.eval().requires_grad_(False)

    def model(self) -> nn.Module:
        return Adapter(self.plan.adapter)

    def _indexed(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([[self.index.get(int(t), NOTHING) for t in row] for row in targets])

    def batch(self, step: int, rng: np.random.Generator) -> TextBatch | SoundBatch:
        if step < self.plan.text_steps:
            rows = [self.text_rows.row(rng) for _ in range(self.plan.text_rows)]
            spelled = torch.from_numpy(np.stack([row for row, _ in rows]))
            targets = self._indexed(np.stack([target for _, target in rows]))
            return TextBatch(spelled, torch.from_numpy(targets))
        drawn = [self.sound_rows.row(rng) for _ in range(self.plan.encoder.rows)]
        offset = torch.from_numpy(rng.integers(0, self.plan.encoder.ear.positions, len(drawn)))
        pcm = torch.from_numpy(np.stack([sound for sound, _ in drawn]))
        return SoundBatch(pcm, offset, [" ".join(said).split() for _, said in drawn])

    def _listen(self, batch: SoundBatch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Character probabilities, features and targets of rows of sound."""
        self.encoder.to(device)
        with torch.no_grad():
            features = self.encoder(batch.pcm.to(device), batch.offset.to(device))
            spelled = self.encoder.logits(features)
        ids = [character_ids(" ".join(words)) if words else [] for words in batch.words]
        times = align(spelled.cpu().numpy(), ids)
        space = CHARACTERS.index(" ")
        ticks = batch.pcm.shape[1] // USER_TICK_SAMPLES
        targets = []
        for row_ids, row_times, words in zip(ids, times, batch.words, strict=True):
            ends = [t for i, t in zip(row_ids, row_times, strict=False) if i == space]
            targets.append(piece_targets(list(zip(words, ends, strict=False)), self.spell, ticks))
        return spelled.exp(), features, torch.from_numpy(self._indexed(np.stack(targets)))

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        device = next(model.parameters()).device
        features = None
        if isinstance(batch, TextBatch):
            spelled, targets = batch.spelled, batch.targets
        else:
            spelled, features, targets = self._listen(batch, device)
            features = features.unflatten(1, (-1, FEATURES_PER_TICK)).flatten(2)
        spelled = spelled.unflatten(1, (-1, FEATURES_PER_TICK)).flatten(2).to(device)
        self.table, targets = self.table.to(device), targets.to(device)
        before = F.pad(targets[:, :-1], (1, 0), value=NOTHING)
        # Now and then the fed-back piece is lost, so that one slip does not lead to the next.
        lost = torch.rand(before.shape, generator=rng, device=device) < 0.05
        gate, query = model(spelled, features, self.table[before.masked_fill(lost, NOTHING)])
        spoken = targets != NOTHING
        count = max(1, int(spoken.sum()))
        when = F.binary_cross_entropy_with_logits(gate.float(), spoken.float(), reduction="sum")
        scores = query[spoken] @ self.table[:-1].T
        what = F.cross_entropy(scores.float(), targets[spoken], reduction="sum")
        right = int((scores.argmax(-1) == targets[spoken]).sum())
        figures = {"when": float(when.detach()) / count, "right": right / count}
        return (when + what) / count, figures

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, Adapter)
        vocabulary = torch.tensor(self.vocabulary)
        save_ear(out / f"{self.name}.safetensors", self.encoder, model, vocabulary)


def build(smoke: bool) -> tuple[EarRecipe, LoopConfig]:
    """The recipe and how its adapter stage is optimised; the encoder stage runs first."""
    _, encoder_config = ear_encoder.build(smoke)
    if smoke:
        config = LoopConfig(steps=60, lr=2e-3, warmup=10, ema=0.9, precision="fp32", log_every=5)
        return EarRecipe(SMOKE, replace(encoder_config, checkpoint_every_s=10.0)), config
    return EarRecipe(FULL, encoder_config), LoopConfig(steps=1100, lr=1e-3, warmup=100, ema=0.995)
