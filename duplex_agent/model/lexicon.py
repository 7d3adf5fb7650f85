"""What the ear knows of English: words, how often they come, and which word follows which."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

_PAIR_SHARE: Final = 0.7
_NO_PAIR: Final = 1e-9
SENTENCE_START: Final = 0
"""Index of the made-up word that stands before the first word of a sentence."""


@dataclass
class LetterNode:
    """A place in the tree of spellings: the letters that may follow and the word that ends here."""

    following: dict[str, "LetterNode"] = field(default_factory=dict)
    word: int | None = None


class Lexicon:
    """Words with counts, and counts of neighbouring pairs; probabilities are interpolated."""

    def __init__(
        self, words: list[str], counts: list[int], pairs: dict[tuple[int, int], int]
    ) -> None:
        """``words[0]`` is the sentence start ''; ``pairs`` maps (word, next word) to a count."""
        self.words = words
        self.counts = counts
        self.pairs = pairs
        self._total = sum(counts[1:])
        self.root = LetterNode()
        for index, word in enumerate(words[1:], start=1):
            node = self.root
            for letter in word:
                node = node.following.setdefault(letter, LetterNode())
            node.word = index

    def log_probability(self, word: int, before: int) -> float:
        """Natural log of the chance that ``word`` follows ``before``."""
        alone = self.counts[word] / self._total
        together = self.pairs.get((before, word), 0) / max(1, self.counts[before])
        return math.log(_PAIR_SHARE * together + (1 - _PAIR_SHARE) * alone + _NO_PAIR)

    def tensors(self) -> dict[str, Tensor]:
        """Everything as one-dimensional tensors, for a weight file."""
        text = "\n".join(self.words).encode()
        pairs = sorted(self.pairs.items())
        return {
            "words": torch.frombuffer(bytearray(text), dtype=torch.uint8),
            "counts": torch.tensor(self.counts, dtype=torch.int32),
            "pair_first": torch.tensor([a for (a, _), _ in pairs], dtype=torch.int32),
            "pair_second": torch.tensor([b for (_, b), _ in pairs], dtype=torch.int32),
            "pair_counts": torch.tensor([n for _, n in pairs], dtype=torch.int32),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "Lexicon":
        """The inverse of ``tensors``."""
        words = bytes(tensors["words"].tolist()).decode().split("\n")
        keys = zip(tensors["pair_first"].tolist(), tensors["pair_second"].tolist(), strict=True)
        pairs = dict(zip(keys, tensors["pair_counts"].tolist(), strict=True))
        return cls(words, tensors["counts"].tolist(), pairs)

    @classmethod
    def from_sentences(
        cls, sentences: Iterable[str], more_words: Iterable[str], at_least: int
    ) -> "Lexicon":
        """Count lower-case ``sentences``; words and pairs rarer than ``at_least`` are left out.

        ``more_words`` are known too, each as if it had been read once.
        """
        singles: Counter[str] = Counter()
        doubles: Counter[tuple[str, str]] = Counter()
        for sentence in sentences:
            line = ["", *sentence.split()]
            singles.update(line)
            doubles.update(pairwise(line))
        known = {w: n for w, n in singles.items() if n >= at_least and w}
        for word in more_words:
            known.setdefault(word, 1)
        words = ["", *sorted(known)]
        index = {word: i for i, word in enumerate(words)}
        pairs = {
            (index[a], index[b]): n
            for (a, b), n in doubles.items()
            if n >= at_least and a in index and b in index
        }
        return cls(words, [singles[""], *(known[w] for w in words[1:])], pairs)
