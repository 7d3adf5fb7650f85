"""Words -> pieces of the thinker's vocabulary, written the way people write them.

What is heard has no capitals; names and "I" get theirs back so that the thinker meets " Paris" as
the one piece it knows instead of two odd ones.
"""

from collections.abc import Collection
from typing import Final, Protocol

_ALWAYS_CAPITAL: Final = frozenset({"i", "i'm", "i'll", "i've", "i'd"})


class PieceTokenizer(Protocol):
    """The part of a tokenizer that spelling needs."""

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``, without special tokens."""
        ...


class WordPieces:
    """Spells words with pieces; ``names`` are lower-case words that start with a capital."""

    def __init__(self, tokenizer: PieceTokenizer, names: Collection[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._names = frozenset(names)
        self._known: dict[str, tuple[int, ...]] = {}

    def written(self, word: str) -> str:
        """``word`` (lower case) with the capital it deserves."""
        bare = word.removesuffix("'s")
        capital = word in _ALWAYS_CAPITAL or word in self._names or bare in self._names
        return word[:1].upper() + word[1:] if capital else word

    def of(self, word: str) -> tuple[int, ...]:
        """Piece ids of one lower-case word with the space before it."""
        if word not in self._known:
            self._known[word] = tuple(self._tokenizer.encode(" " + self.written(word)))
        return self._known[word]
