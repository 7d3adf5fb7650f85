"""Is the answer in the reply? By words, never by an opinion.

Reply and accepted answers go through Whisper's English normaliser ("twenty-four" becomes "24",
capitals and punctuation go), then an answer counts where it stands as whole words in a row.
"""

from collections.abc import Sequence
from functools import lru_cache

from whisper_normalizer.english import EnglishTextNormalizer

_normaliser = EnglishTextNormalizer()


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """``text`` as the judge compares it: lower case, numbers as digits, single spaces."""
    # The normaliser takes "one" for a pronoun in running text but for a number when alone.
    words = ["1" if word == "one" else word for word in _normaliser(text).split()]
    return " ".join(words)


def first_place(text: str, phrases: Sequence[str]) -> int | None:
    """Where the earliest of ``phrases`` begins in ``text``, in words; None if none is there."""
    words = normalise(text).split()
    places = [
        start
        for phrase in map(str.split, map(normalise, phrases))
        for start in range(len(words) - len(phrase) + 1)
        if phrase and words[start : start + len(phrase)] == phrase
    ]
    return min(places, default=None)


def holds_answer(reply: str, answers: Sequence[str], rivals: Sequence[str] = ()) -> bool:
    """Whether ``reply`` names one of ``answers`` before any of ``rivals``.

    ``rivals`` are the other choices of a question that names them itself ("hot or cold?"). Only
    the order is looked at: "it is not hot" counts as "hot".
    """
    right = first_place(reply, answers)
    wrong = first_place(reply, rivals)
    return right is not None and (wrong is None or right < wrong)
