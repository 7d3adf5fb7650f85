"""Is the answer in the reply? By words, never by an opinion.

Reply and accepted answers are brought into the form in which they are spoken: lower case, numbers
as words, no punctuation. An answer counts where it stands as whole words in a row. (Whisper's
normaliser will not do here: it makes "one, two, three" the number 123 and "100 cents" a price.)
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from duplex_agent.voice.spoken_text import speakable

_BREAKS = re.compile(r"[^a-z' ]+")


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """``text`` as words with single spaces: "It's 26!" is "it's twenty six"."""
    words = (word.strip("'") for word in _BREAKS.sub(" ", speakable(text)).split())
    return " ".join(word for word in words if word)


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


def holds_answer(reply: str, answers: Sequence[str], distractors: Sequence[str] = ()) -> bool:
    """Whether ``reply`` names one of ``answers`` before any of ``distractors``.

    ``distractors`` are the other choices of a question that names them itself ("hot or cold?").
    Only the order is looked at: "it is not hot" counts as "hot".
    """
    right = first_place(reply, answers)
    wrong = first_place(reply, distractors)
    return right is not None and (wrong is None or right < wrong)
