"""Recipe ``phones``: how words are pronounced and how long each phone lasts.

Pronunciations come from espeak-ng through the teacher voice's own front end, over far more text
than is ever spoken aloud; durations come from the teacher's speech.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from duplex_agent.runtime import torch_checkpoint
from duplex_agent.train.data.agent_speech import prepare_speech, pronounce, read_corpus
from duplex_agent.train.data.text import training_sentences
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.voice.config import PhonesConfig, TimingConfig
from duplex_agent.voice.phones import BLANK, PHONE_ID, PHONES, character_ids
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.spoken_text import speakable


@dataclass(frozen=True)
class PhonesBatch:
    """Padded characters, phones, and a second, spoken set of phones with log seconds."""

    characters: Tensor
    phones: Tensor
    character_counts: Tensor
    phone_counts: Tensor
    timed_phones: Tensor
    log_seconds: Tensor


class PhonesModel(nn.Module):
    """Speller and duration model."""

    def __init__(self, phones: PhonesConfig, timing: TimingConfig) -> None:
        super().__init__()
        self.phones = Phones(phones)
        self.timing = Timing(timing)


def _pad(rows: list[NDArray[np.generic]], value: float) -> Tensor:
    # Few distinct shapes: the CPU's matrix kernels are compiled for each one.
    width = -(-max(len(r) for r in rows) // 32) * 32
    return torch.from_numpy(
        np.stack([np.pad(r, (0, width - len(r)), constant_values=value) for r in rows])
    )


class PhonesRecipe(Recipe):
    """CTC on spelled sentences plus squared error of log durations."""

    name = "phones"

    def __init__(self, smoke: bool, sizes: tuple[PhonesConfig, TimingConfig], batch: int) -> None:
        self.smoke, self.sizes, self.batch_size = smoke, sizes, batch
        self.spelled: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self.timed: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []

    def prepare(self, work: Path) -> None:
        speech = prepare_speech(work, self.smoke)
        for utterance in read_corpus(speech):
            ids = [PHONE_ID[p] for p in utterance.phones if p in PHONE_ID]
            if len(ids) == len(utterance.phones):
                self.timed.append((np.array(ids), np.log(utterance.durations_s)))
        spelled = speech / "pronunciations.json"
        if not spelled.exists():
            sentences = training_sentences(seed=0)[: 300 if self.smoke else 80_000]
            texts = [speakable(s) for s in sentences]
            pairs = [(t, pronounce(t)) for t in track(texts, "pronouncing")]
            spelled.write_text(json.dumps(pairs), encoding="utf-8")
        for text, phones in json.loads(spelled.read_text("utf-8")):
            ids = [PHONE_ID[p] for p in phones if p in PHONE_ID]
            if text and len(ids) == len(phones) and len(ids) < 2.5 * len(text):
                self.spelled.append((np.array(character_ids(text)), np.array(ids)))

    def model(self) -> nn.Module:
        return PhonesModel(*self.sizes)

    def batch(self, step: int, rng: np.random.Generator) -> PhonesBatch:
        characters, phones = [], []
        for _ in range(self.batch_size):
            # One or two sentences, so that a sentence's start is also learnt after another one.
            picks = rng.integers(len(self.spelled), size=rng.integers(1, 3))
            space = np.array(character_ids(" "))
            pieces = [self.spelled[i][0] for i in picks]
            characters.append(
                np.concatenate([pieces[0], *[np.concatenate([space, p]) for p in pieces[1:]]])
            )
            phones.append(np.concatenate([self.spelled[i][1] for i in picks]))
        timed = [self.timed[i] for i in rng.integers(len(self.timed), size=self.batch_size)]
        return PhonesBatch(
            _pad(characters, 0),
            _pad(phones, 0),
            torch.tensor([len(c) for c in characters]),
            torch.tensor([len(p) for p in phones]),
            _pad([t[0] for t in timed], len(PHONES)),
            _pad([t[1] for t in timed], 0.0),
        )

    def loss(
        self, model: nn.Module, batch: PhonesBatch, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, PhonesModel)
        slots = model.phones(batch.characters).transpose(0, 1)
        ctc = F.ctc_loss(
            slots, batch.phones, batch.character_counts * 3, batch.phone_counts,
            blank=BLANK, reduction="sum", zero_infinity=True,
        ) / batch.phone_counts.sum()  # fmt: skip
        spoken = batch.timed_phones != len(PHONES)
        error = model.timing(batch.timed_phones) - batch.log_seconds
        timing = error.square()[spoken].mean()
        metrics = {"spelling": float(ctc.detach()), "timing": float(timing.detach())}
        return ctc + timing, metrics

    def export(self, model: nn.Module, out: Path) -> None:
        torch_checkpoint.save(
            out / "phones.safetensors", model.state_dict(), {"recipe": self.name}, True
        )


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: about ten minutes of one core; smoke: seconds."""
    loop = LoopConfig(steps=900, lr=1.5e-3, warmup=200, ema=0.998)
    if smoke:
        sizes = PhonesConfig(width=64, layers=3), TimingConfig(width=32, layers=2)
        loop = replace(loop, steps=80, warmup=5, log_every=5, ema=0.9, precision="fp32", lr=3e-3)
        return PhonesRecipe(True, sizes, batch=8), loop
    return PhonesRecipe(False, (PhonesConfig(), TimingConfig()), batch=24), loop
