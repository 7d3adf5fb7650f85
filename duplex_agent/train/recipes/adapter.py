"""Recipe ``adapter``: from the frozen ear's features to tokens that the frozen thinker takes.

First CTC over the thinker's ids that occur in the texts, tied to their embeddings, on speech and on
characters that nobody spoke. Then behaviour alignment (BLSP, arXiv 2309.00916): the thinker hears
the adapter's tokens where it read the transcript, and must expect the same words of its reply; CTC
goes on beside it. Half of the steps hear every tick, half every second one.
"""

import copy
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from duplex_agent.ear.adapter.config import AdapterConfig, Rate
from duplex_agent.ear.reference.adapter import Adapter
from duplex_agent.ear.reference.adapter_file import save_adapter
from duplex_agent.llm.chat import chat_format
from duplex_agent.llm.language_model import LanguageModel, find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.train.data.user_speech import Engine
from duplex_agent.train.data.user_text import user_sentences
from duplex_agent.train.ear.adapter_features import HeardRow, load_features, make_features
from duplex_agent.train.ear.adapter_tokens import row_tokens
from duplex_agent.train.ear.ctc import ctc
from duplex_agent.train.ear.rows import make_corpus
from duplex_agent.train.ear.spelled_rows import spelled_row
from duplex_agent.train.llm.answers import Answer, prepare_answers
from duplex_agent.train.llm.frozen_thinker import FrozenThinker
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.recipes.ear import CORPUS_SEED, SPEECH_FOLDER
from duplex_agent.train.recipes.thinker_style import divergence, mean_of_rows

SENTENCES_FILE: Final = "adapter-sentences.txt"
_TEXT_SEED: Final = 21
_CHARACTERS_ONLY: Final = 0.15
_CTC_BESIDE: Final = 0.3
_SILENT_SHARE: Final = 0.04


@dataclass(frozen=True)
class AdapterPlan:
    """What is heard, read and answered. Without an ``llm`` it is a tiny random model.

    ``rows`` of ``row_ticks`` for CTC; ``turns`` of ``turn_ticks``, of which those with a single
    utterance are answered; ``sentences`` that are only spelled, of ids that occur ``least`` times.
    """

    llm: str | None
    counts: dict[Engine, int]
    rows: int
    row_ticks: int
    turns: int
    turn_ticks: int
    sentences: int
    least: int
    ctc_steps: int
    spoken_rows: int
    spelled_rows: int
    turn_rows: int
    longest_reply: int
    adapter: AdapterConfig
    half: bool


FULL: Final = AdapterPlan(
    DEFAULT_MODEL,
    {"kokoro": 500, "piper": 450, "flite": 3000, "espeak": 2200},
    rows=4800,
    row_ticks=75,
    turns=1920,
    turn_ticks=50,
    sentences=30_000,
    least=4,
    ctc_steps=1700,
    spoken_rows=10,
    spelled_rows=8,
    turn_rows=6,
    longest_reply=16,
    adapter=AdapterConfig(),
    half=True,
)
SMOKE: Final = AdapterPlan(
    None,
    {"flite": 12, "espeak": 12},
    rows=8,
    row_ticks=60,
    turns=16,
    turn_ticks=60,
    sentences=60,
    least=1,
    ctc_steps=60,
    spoken_rows=4,
    spelled_rows=4,
    turn_rows=2,
    longest_reply=4,
    adapter=AdapterConfig(width=64, heads=2, depth=1, context_ticks=10),
    half=False,
)


@dataclass(frozen=True)
class CtcRows:
    """``features`` [B, T, 4, width], ``log_probs`` [B, T, 4, characters], and the ids of each row
    as the adapter counts them, blank being 0.
    """

    features: Tensor
    log_probs: Tensor
    targets: list[list[int]]


@dataclass(frozen=True)
class Turns:
    """Single utterances with the thinker's answers; ``skipping``: blanks are left out."""

    rows: list[HeardRow]
    answers: list[Answer]
    skipping: bool


@dataclass(frozen=True)
class AdapterBatch:
    rate: Rate
    ctc: CtcRows
    turns: Turns | None


class AdapterRecipe(Recipe):
    """CTC, then CTC beside alignment; only the adapter learns."""

    name = "adapter"

    def __init__(self, plan: AdapterPlan) -> None:
        self.plan = plan
        self.llm = plan.llm
        self.rows: list[HeardRow] = []
        self.turns: list[HeardRow] = []
        self.silent: list[HeardRow] = []
        self.sentences: list[str] = []
        self.index_of: dict[int, int] = {}
        self._work = Path()
        self._source: LanguageModel | None = None
        self._thinker: FrozenThinker | None = None

    @property
    def source(self) -> LanguageModel:
        """The language model that is to hear."""
        assert self._source is not None, "prepare() finds it"
        return self._source

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The language model's."""
        return prepared_text(self.source).tokenizer

    def prepare(self, work: Path) -> None:
        plan, speech = self.plan, work / SPEECH_FOLDER
        if self.llm is None:
            from duplex_agent.train.llm.tiny_model import write_tiny_llm

            self.llm = str(write_tiny_llm(work / "tiny-llm", "llama"))
        self._source = find_language_model(self.llm)
        make_corpus(speech, plan.counts, CORPUS_SEED)
        make_features(work / "adapter-features", speech, plan.rows, plan.row_ticks, seed=0)
        make_features(work / "adapter-turns", speech, plan.turns, plan.turn_ticks, seed=1)
        self.rows = load_features(work / "adapter-features")
        turns = load_features(work / "adapter-turns")
        self.turns = [row for row in turns if len(row.said) == 1]
        self.silent = [row for row in turns if not row.said]
        self._read_texts(_sentences(work / SENTENCES_FILE, plan.sentences))
        self._work = work

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """By what was said; written when the first of them is needed, which takes minutes."""
        texts = dict.fromkeys(row.said[0] for row in self.turns)
        return prepare_answers(
            self._work / "adapter-answers.npz",
            self._fresh_thinker,
            self.tokenizer,
            chat_format(self.tokenizer),
            ["", *texts],
            self.plan.longest_reply,
        )

    def _read_texts(self, sentences: list[str]) -> None:
        """Which ids the adapter is to know, and the sentences that can be spelled with them."""
        spoken = {i for row in (*self.rows, *self.turns) for i in self._ids(" ".join(row.said))}
        encoded = [self._ids(sentence) for sentence in sentences]
        counts = Counter(i for ids in encoded for i in ids)
        known = spoken | {i for i, count in counts.items() if count >= self.plan.least}
        self.index_of = {i: index for index, i in enumerate(sorted(known), start=1)}
        pairs = zip(sentences, encoded, strict=True)
        self.sentences = [text for text, ids in pairs if known.issuperset(ids)]

    def _ids(self, text: str) -> list[int]:
        """As the ear embeds words: one by one, each with the space before it."""
        return [i for word in text.split() for i in self.tokenizer.encode(f" {word}")]

    def _fresh_thinker(self) -> Any:
        """Half precision where asked: nothing of it is learnt, and it is read very often."""
        model = self.source.transformers_model
        return copy.deepcopy(model).bfloat16() if self.plan.half else model

    def thinker(self, device: torch.device) -> FrozenThinker:
        """The language model on ``device``, loaded when it is first heard by."""
        if self._thinker is None:
            model = self._fresh_thinker().to(device)
            self._thinker = FrozenThinker(model, chat_format(self.tokenizer))
        return self._thinker

    def model(self) -> nn.Module:
        ids = torch.tensor(sorted(self.index_of))
        table = prepared_text(self.source).embedding
        return Adapter(ids, torch.from_numpy(table[ids.numpy()]), self.plan.adapter)

    def batch(self, step: int, rng: np.random.Generator) -> AdapterBatch:
        rate = cast(Rate, int(rng.integers(1, 3)))
        aligning = step >= self.plan.ctc_steps
        turns = self._turns(rng) if aligning else None
        return AdapterBatch(rate, self._ctc_rows(rng, 2 if aligning else 1), turns)

    def _ctc_rows(self, rng: np.random.Generator, part: int) -> CtcRows:
        drawn = [self.rows[int(i)] for i in rng.integers(len(self.rows), size=self._rows(0, part))]
        features = [row.features * (rng.random() >= _CHARACTERS_ONLY) for row in drawn]
        log_probs = [row.log_probs for row in drawn]
        texts = [" ".join(row.said) for row in drawn]
        while len(texts) < self._rows(0, part) + self._rows(1, part):
            text = self.sentences[int(rng.integers(len(self.sentences)))]
            spelled = spelled_row(text, self.plan.row_ticks, rng)
            if spelled is not None:
                features.append(np.zeros_like(drawn[0].features))
                log_probs.append(spelled)
                texts.append(text)
        targets = [[self.index_of[i] for i in self._ids(text)] for text in texts]
        heard = torch.from_numpy(np.stack(features)).float()
        return CtcRows(heard, torch.from_numpy(np.stack(log_probs)).float(), targets)

    def _rows(self, kind: int, part: int) -> int:
        return (self.plan.spoken_rows, self.plan.spelled_rows)[kind] // part

    def _turns(self, rng: np.random.Generator) -> Turns:
        rows = [self.turns[int(i)] for i in rng.integers(len(self.turns), size=self.plan.turn_rows)]
        if self.silent and rng.random() < _SILENT_SHARE * self.plan.turn_rows:
            rows[0] = self.silent[int(rng.integers(len(self.silent)))]
        answers = [self.answers["".join(row.said)] for row in rows]
        return Turns(rows, answers, skipping=bool(rng.random() < 0.5))

    def loss(
        self, model: nn.Module, batch: AdapterBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Adapter)
        rows, device = batch.ctc, rng.device
        hidden = model.hidden(rows.features.to(device), rows.log_probs.to(device))
        log_probs = model.log_probs(model.at_rate(hidden, batch.rate))
        spelling = ctc(log_probs, rows.targets)
        # The log's columns are those of its first row.
        metrics = {"ctc": float(spelling.detach()), "kl": math.nan}
        if batch.turns is None:
            return spelling, metrics
        heard = [
            row_tokens(model, row, batch.rate, batch.turns.skipping, rng)
            for row in batch.turns.rows
        ]
        replies = [answer.reply.tolist() for answer in batch.turns.answers]
        logits = self.thinker(device).expects(heard, replies)
        whose = torch.tensor([row for row, reply in enumerate(replies) for _ in reply])
        ids, probabilities = (
            torch.from_numpy(np.concatenate([getattr(a, name) for a in batch.turns.answers]))
            for name in ("ids", "probabilities")
        )
        spread = divergence(torch.cat(logits), ids.long().to(device), probabilities.to(device))
        aligned = mean_of_rows(spread, whose.to(device))
        return aligned + _CTC_BESIDE * spelling, {**metrics, "kl": float(aligned.detach())}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, Adapter)
        save_adapter(out / f"{self.name}.safetensors", model, self.source.fingerprint)


def _sentences(file: Path, count: int) -> list[str]:
    """Kept in ``file``: drawing them means reading all of the chat text, which takes a minute."""
    if not file.exists():
        file.write_text("\n".join(user_sentences(count, _TEXT_SEED)), encoding="utf-8")
    return file.read_text("utf-8").split("\n")


def build(smoke: bool) -> tuple[AdapterRecipe, LoopConfig]:
    """Full run: an hour of one core; smoke: seconds, on a tiny random model."""
    if smoke:
        return AdapterRecipe(SMOKE), LoopConfig(
            steps=80, lr=1e-2, warmup=5, ema=0.9, precision="fp32", log_every=5
        )
    return AdapterRecipe(FULL), LoopConfig(steps=1960, lr=2e-3, warmup=60, ema=0.99)
