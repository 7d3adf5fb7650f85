"""Rows of user speech for the ear: several utterances on one stretch of time, with pauses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.ear.encoder_config import CHARACTERS
from duplex_agent.train.data.augment import change_speed, record
from duplex_agent.train.data.text import held_out, normalise
from duplex_agent.train.data.user_speech import Engine, make_shard, read_corpus
from duplex_agent.train.data.user_text import heard_form, user_sentences

_SHARD_SENTENCES: Final = 50
_NO_SPEECH_SHARE: Final = 0.05
# Times the 0.85 to 1.25 of the speakers themselves: 0.7 to 1.6 in all.
_SPEEDS: Final = (0.82, 1.28)


@dataclass(frozen=True)
class Said:
    """One clean utterance: ``pcm`` int16 [n] at 16 kHz, its words, and the engine that spoke it."""

    words: str
    engine: str
    pcm: NDArray[np.int16]


@dataclass(frozen=True)
class Row:
    """``heard`` float32 [samples] as recorded somewhere, the same speech ``clean``, and its words,
    one string per utterance.
    """

    heard: NDArray[np.float32]
    clean: NDArray[np.float32]
    said: list[str]


def make_corpus(folder: Path, counts: dict[Engine, int], seed: int) -> None:
    """Speak ``counts`` sentences per engine into shards under ``folder``; what exists is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    sentences = user_sentences(sum(counts.values()), seed)
    jobs: list[tuple[Path, Engine, list[str], int]] = []
    for engine, count in counts.items():
        own, sentences = sentences[:count], sentences[count:]
        for start in range(0, count, _SHARD_SENTENCES):
            target = folder / f"{engine}-{start // _SHARD_SENTENCES:04d}.npz"
            part = own[start : start + _SHARD_SENTENCES]
            if part and not target.exists():
                jobs.append((target, engine, part, 1000 * start + len(engine)))
    for job in track(jobs, "user voices", disable=not jobs):
        make_shard(*job)


def load_corpus(folder: Path) -> list[Said]:
    """All utterances with words, evaluation sentences left out."""
    forbidden = held_out()
    return [
        Said(heard_form(u.text), u.engine, u.pcm)
        for u in read_corpus(folder)
        if heard_form(u.text) and normalise(u.text) not in forbidden
    ]


def character_ids(words: str) -> list[int]:
    """CTC targets of lower-case words; every word is followed by a space."""
    return [CHARACTERS.index(c) for c in words + " "]


class RowMaker:
    """Draws rows of a fixed length; engines are drawn by ``mixture``, whatever their hours."""

    def __init__(self, corpus: list[Said], samples: int, mixture: dict[str, float]) -> None:
        self.samples = samples
        self.by_engine = {e: [s for s in corpus if s.engine == e] for e in mixture}
        self.engines = [e for e in mixture if self.by_engine[e]]
        total = sum(mixture[e] for e in self.engines)
        self.mixture = [mixture[e] / total for e in self.engines]

    def _draw(self, rng: np.random.Generator) -> tuple[str, NDArray[np.float32]]:
        engine = self.engines[int(rng.choice(len(self.engines), p=self.mixture))]
        said = self.by_engine[engine][int(rng.integers(len(self.by_engine[engine])))]
        pcm = np.divide(said.pcm, 32768, dtype=np.float32)
        return said.words, change_speed(pcm, float(rng.uniform(*_SPEEDS)))

    def _babble(self, rng: np.random.Generator) -> NDArray[np.float32]:
        mixed = np.zeros(self.samples, np.float32)
        for _ in range(3):
            pcm = np.resize(self._draw(rng)[1], self.samples)
            mixed += np.roll(pcm, int(rng.integers(self.samples)))
        return mixed

    def row(self, rng: np.random.Generator) -> Row:
        """A stretch of time with several utterances in it, or in one case in twenty with none."""
        audio = np.zeros(self.samples, np.float32)
        said: list[str] = []
        at = int(rng.uniform(0.05, 0.8) * USER_RATE_HZ)
        if rng.random() >= _NO_SPEECH_SHARE:
            for _ in range(12):
                words, pcm = self._draw(rng)
                if at + len(pcm) + USER_RATE_HZ // 5 > self.samples:
                    continue
                audio[at : at + len(pcm)] += pcm
                said.append(words)
                at += len(pcm) + int(rng.exponential(0.5) * USER_RATE_HZ)
        return Row(record(audio, self._babble(rng), rng), audio, said)
