"""Does the agent keep its voice? Cosine of GE2E speaker embeddings (Resemblyzer, Apache-2.0)."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.errors import EvalError

SHORTEST_S: Final = 1.6  # one window of the encoder; shorter speech says little about a voice

Embedding = NDArray[np.float32]


@lru_cache(maxsize=1)
def _encoder() -> Any:
    try:
        from resemblyzer import VoiceEncoder  # type: ignore[import-untyped]
    except ImportError as error:
        raise EvalError(
            "speaker similarity needs Resemblyzer: pip install --no-deps resemblyzer==0.1.4"
        ) from error
    # Its weights come through torch.load, which since torch 2.6 takes tensors only.
    return VoiceEncoder("cpu", verbose=False)


def speaker_embedding(pcm: NDArray[np.float32]) -> Embedding | None:
    """Unit vector [256] of trimmed speech float32 [n] at 16 kHz; None when it is too short.

    Raises EvalError when Resemblyzer is missing.
    """
    if len(pcm) < SHORTEST_S * USER_RATE_HZ or not np.any(pcm):
        return None
    embedding = _encoder().embed_utterance(pcm.astype(np.float32))
    return np.asarray(embedding, np.float32)


def similarity(one: Embedding, other: Embedding) -> float:
    """Cosine, -1 to 1; the same speaker is usually above 0.75, two speakers below 0.65."""
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def consistency(embeddings: Sequence[Embedding]) -> list[float]:
    """Cosine of each embedding with the mean of the others; empty for fewer than two."""
    if len(embeddings) < 2:
        return []
    total = np.sum(embeddings, axis=0)
    return [similarity(e, total - e) for e in embeddings]


def encoder_name() -> str:
    """What a report states."""
    return f"Resemblyzer {version('resemblyzer')}"
