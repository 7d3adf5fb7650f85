"""Choosing the next token from logits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError


@dataclass(frozen=True)
class Sampling:
    """How to choose. A temperature of 0 takes the likeliest token.

    top_k tokens are kept, then the fewest of them whose probability reaches top_p. The logits of
    tokens that were used already are weakened by repetition_penalty (CTRL, arXiv 1909.05858);
    those that would go on with a phrase as an earlier reply did, by phrase_penalty nats.
    """

    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.1
    phrase_penalty: float = 3.0

    def __post_init__(self) -> None:
        if not (
            self.temperature >= 0
            and 0 < self.top_p <= 1
            and self.top_k >= 1
            and self.repetition_penalty > 0
            and self.phrase_penalty >= 0
        ):
            raise ThinkerError(f"sampling settings out of range: {self}")


class Sampler:
    """Chooses tokens; the same generator state and logits give the same choice."""

    def __init__(
        self, settings: Sampling, generator: np.random.Generator, never: Sequence[int] = ()
    ) -> None:
        """``never``: ids that are not chosen whatever their logits."""
        self.settings = settings
        self._never = np.array(never, np.int64)
        self._generator = generator

    def choose(
        self,
        logits: NDArray[np.float32],
        used: Iterable[int] = (),
        continued: Iterable[int] = (),
    ) -> int:
        """One token id from logits float32 [vocabulary]; ``used`` are the ids of the reply so far,
        ``continued`` those that would say what was said before.
        """
        settings = self.settings
        scores = _penalize(logits, used, settings.repetition_penalty)
        repeated = list(set(continued))
        if repeated or len(self._never):
            scores = scores.copy()
            scores[repeated] -= settings.phrase_penalty
            scores[self._never] = -np.inf
        if settings.temperature == 0:
            return int(scores.argmax())
        kept = min(settings.top_k, len(scores))
        best = np.argpartition(scores, len(scores) - kept)[-kept:]
        best = best[np.argsort(scores[best], kind="stable")[::-1]]
        weights = np.exp((scores[best] - scores[best[0]]).astype(np.float64) / settings.temperature)
        weights /= weights.sum()
        # The first token always stays, however small top_p is.
        nucleus = int(np.searchsorted(np.cumsum(weights), settings.top_p)) + 1
        weights = weights[:nucleus] / weights[:nucleus].sum()
        return int(self._generator.choice(best[:nucleus], p=weights))


def phrase_ends(tokens: Sequence[int], said: Iterable[Sequence[int]], words: int = 2) -> set[int]:
    """What came behind the last ``words`` of ``tokens`` wherever they stand in ``said``."""
    if len(tokens) < words:
        return set()
    last = tuple(tokens[-words:])
    return {
        reply[i]
        for reply in said
        for i in range(words, len(reply))
        if tuple(reply[i - words : i]) == last
    }


def _penalize(
    logits: NDArray[np.float32], used: Iterable[int], penalty: float
) -> NDArray[np.float32]:
    ids = list(set(used))
    if penalty == 1 or not ids:
        return logits
    scores = logits.copy()
    scores[ids] = np.where(scores[ids] > 0, scores[ids] / penalty, scores[ids] * penalty)
    return scores
