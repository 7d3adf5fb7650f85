"""Text as a character head would spell it: peaks on the 50 Hz clock, pauses, and mistakes.

The adapter learns its spelling and its English from this before it ever meets sound.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.model.ear import BLANK, CHARACTERS, FEATURES_PER_TICK
from duplex_agent.model.word_pieces import WordPieces
from duplex_agent.train.user_text import proper_names

_AMBIGUOUS: Final = frozenset(
    ["may", "march", "mark", "turkey", "china", "will", "grace", "polish", "god", "mom", "dad"]
)
# Letters that the same sound is often spelled with.
_CONFUSED: Final = (
    "aeiouy", "ckqsx", "td", "pb", "mn", "fv", "gjk", "szc", "lrw", "hwu", "iye", "ou"
)  # fmt: skip
_LOOKALIKES: Final = {
    c: "".join({o for group in _CONFUSED if c in group for o in group} - {c}) or "e"
    for c in CHARACTERS[1:-1]
}
NOTHING: Final = -1


def find_names(sentences: Iterable[str]) -> frozenset[str]:
    """Lower-case words that people write with a capital inside a sentence most of the time."""
    capital: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for sentence in sentences:
        for word in re.findall(r"[A-Za-z']+", sentence)[1:]:
            if word[0].isupper() and word[1:].islower():
                capital[word.lower()] += 1
            else:
                small[word.lower()] += 1
    found = {w for w, n in capital.items() if n >= 3 and n >= 2 * small[w] and len(w) > 2}
    found |= {w.lower() for name in proper_names() for w in name.split()}
    return frozenset(found - _AMBIGUOUS)


def _mistaken(text: str, rate: float, rng: np.random.Generator) -> list[tuple[str, int]]:
    """Characters actually spelled, with the index in ``text`` that each stands for."""
    spelled = []
    for index, c in enumerate(text):
        draw = rng.random()
        if draw >= rate or (c == " " and draw >= 0.2 * rate):
            spelled.append((c, index))
        elif draw >= 0.35 * rate:
            spelled.append((rng.choice(list(_LOOKALIKES.get(c, "e"))), index))
        elif draw < 0.12 * rate:
            spelled += [(c, index), (rng.choice(list(_LOOKALIKES.get(c, "a"))), index)]
    return spelled


class SpelledRows:
    """Draws rows of character probabilities with the pieces that should come out."""

    def __init__(self, sentences: Sequence[str], spell: WordPieces, ticks: int) -> None:
        """``sentences`` are in heard form: lower-case words."""
        self.sentences = sentences
        self.spell = spell
        self.frames = ticks * FEATURES_PER_TICK

    def row(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Probabilities [frames, characters] and a piece id or NOTHING per tick."""
        frames = self.frames
        probabilities = np.zeros((frames, len(CHARACTERS)), np.float32)
        ends: list[tuple[str, int]] = []
        rate = rng.choice([0.0, rng.uniform(0.0, 0.06), rng.uniform(0.03, 0.22)])
        at = float(rng.integers(2, 40))
        while at < frames - 20:
            pace = rng.uniform(2.2, 5.5)
            words = self.sentences[int(rng.integers(len(self.sentences)))].split()
            for word in words:
                start = at
                for c, index in _mistaken(word + " ", rate, rng):
                    at = max(start + 1, at + pace * rng.lognormal(-0.1, 0.45)) // 1
                    if at >= frames:
                        break
                    if c == " " and rng.random() < 0.6:
                        at = max(start + 1, at - pace / 2) // 1
                    self._write(probabilities, int(at), c, (word + " ")[index], rng)
                    start = at
                if at >= frames:
                    break
                ends.append((word, int(at)))
                if rng.random() < 0.06:
                    at += rng.uniform(5, 40)
            at += rng.exponential(30.0) + 3
        probabilities[:, BLANK] += np.maximum(0.0, 1.0 - probabilities.sum(1))
        return probabilities, piece_targets(ends, self.spell, frames // FEATURES_PER_TICK)

    @staticmethod
    def _write(
        rows: NDArray[np.float32], at: int, c: str, meant: str, rng: np.random.Generator
    ) -> None:
        doubt = rng.uniform(0.0, 0.5) if rng.random() < 0.25 else rng.uniform(0.0, 0.06)
        rows[at] = 0.0
        rows[at, CHARACTERS.index(c)] = 1.0 - doubt
        other = rng.choice(list(_LOOKALIKES.get(c, "e")))
        rows[at, CHARACTERS.index(meant if c != meant else other)] += doubt * rng.uniform(0.2, 1.0)


def piece_targets(
    ends: Sequence[tuple[str, int]], spell: WordPieces, ticks: int
) -> NDArray[np.int64]:
    """Piece id or NOTHING per tick: each word's pieces from the tick its ``end`` frame lies in.

    One piece per tick; what does not fit waits for the next free tick, and is lost after the last.
    """
    targets = np.full(ticks, NOTHING, np.int64)
    free = 0
    for word, frame in ends:
        tick = max(free, frame // FEATURES_PER_TICK)
        for piece in spell.of(word):
            if tick < ticks:
                targets[tick] = piece
                tick += 1
        free = tick
    return targets
