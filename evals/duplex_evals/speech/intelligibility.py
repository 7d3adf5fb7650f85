"""Is what is heard what was written? Word and character errors of the agent's own speech."""

from dataclasses import dataclass
from importlib.metadata import version

import jiwer
import numpy as np
from numpy.typing import NDArray
from whisper_normalizer.english import EnglishTextNormalizer

from duplex_agent.assets import find
from duplex_evals.speech.recogniser import WordErrors, transcribe, word_errors

_normalise = EnglishTextNormalizer()


@dataclass(frozen=True)
class Intelligibility:
    """``heard`` is the recogniser's text; errors are counts, so that a corpus rate is their sum."""

    heard: str
    words: WordErrors
    characters: WordErrors


def intelligibility(text: str, heard: str) -> Intelligibility:
    """Errors of ``heard`` against the agent's own ``text``, both normalised alike."""
    want, got = _normalise(text), _normalise(heard)
    if want:
        counts = jiwer.process_characters(want, got)
        wrong = counts.substitutions + counts.deletions + counts.insertions
    else:
        wrong = len(got)
    return Intelligibility(heard, word_errors(text, heard), WordErrors(wrong, len(want)))


def heard_words(pcm: NDArray[np.float32]) -> str:
    """What Whisper tiny.en hears in float32 [n] at 16 kHz; "" for no sound."""
    return transcribe(pcm) if len(pcm) else ""


def recogniser_name() -> str:
    """Versions on which every word error result depends."""
    packages = ("faster-whisper", "ctranslate2", "whisper-normalizer", "jiwer")
    stamped = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"whisper-tiny.en {find('whisper-tiny.en').sha256[:12]}, {stamped}"
