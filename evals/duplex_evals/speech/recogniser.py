"""Whisper tiny.en as the judge of words, with Whisper's own English normaliser."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import jiwer
import numpy as np
from numpy.typing import NDArray
from whisper_normalizer.english import EnglishTextNormalizer

from duplex_agent import assets

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


@lru_cache(maxsize=1)
def _whisper() -> "WhisperModel":
    from faster_whisper import WhisperModel

    folder = assets.path("whisper-tiny.en").parent
    for part in ("tokenizer", "config", "vocabulary"):
        assets.path(f"whisper-tiny.en-{part}")
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def transcribe(pcm: NDArray[np.float32]) -> str:
    """Words heard in ``pcm`` float32 [n] at 16 kHz, greedy, without context of earlier text.

    Whisper's own fallback stays on (a text that repeats itself is decoded again at a higher
    temperature, here seeded): one endless loop would otherwise count for a hundred sentences.
    """
    import ctranslate2

    ctranslate2.set_random_seed(0)
    segments, _ = _whisper().transcribe(
        pcm, language="en", beam_size=1, best_of=1, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)


_normalise = EnglishTextNormalizer()


@dataclass(frozen=True)
class WordErrors:
    """Word error counts of one or many utterances."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Word error rate; 0 for no reference words and no errors."""
        return self.errors / max(1, self.words)

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(self.errors + other.errors, self.words + other.words)


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """Errors of ``hypothesis`` against ``reference`` after normalisation."""
    want, got = _normalise(reference), _normalise(hypothesis)
    if not want:
        return WordErrors(len(got.split()), 0)
    counts = jiwer.process_words(want, got)
    errors = counts.substitutions + counts.deletions + counts.insertions
    return WordErrors(errors, len(want.split()))
