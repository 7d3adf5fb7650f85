"""When words were said: their letters found again among the letters that the ear spelled."""

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

_LETTERS_OF_A_DIGIT = 4


def letters_of(text: str) -> str:
    """The letters of ``text`` as the character head would spell them, digits as they are."""
    return re.sub("[^a-z'0-9]", "", text.lower())


def spoken_size(text: str) -> int:
    """How many letters ``text`` has when it is spelled: figures are spoken as words."""
    letters = letters_of(text)
    return len(letters) + (_LETTERS_OF_A_DIGIT - 1) * sum(map(str.isdigit, letters))


def letters_apart(text: str, spelled: Sequence[tuple[str, int]]) -> int:
    """Edits between the letters of ``text`` and those ``spelled``, whose ticks do not matter."""
    return Levenshtein.distance(letters_of(text), "".join(letter for letter, _ in spelled))


def word_times(
    words: Sequence[str], spelled: Sequence[tuple[str, int]], first: int, last: int
) -> list[tuple[int, int]]:
    """First and last tick of each of ``words``, in order and never overlapping backwards.

    ``spelled``: letters with the ticks they were heard in. A word without any letter found lies
    between its neighbours; all lie between ticks ``first`` and ``last``.
    """
    wanted = [(letter, index) for index, word in enumerate(words) for letter in letters_of(word)]
    ticks: list[list[int]] = [[] for _ in words]
    heard, said = ("".join(letter for letter, _ in pairs) for pairs in (spelled, wanted))
    # Least edits over the whole sentence: people repeat words, and the longest match may be the
    # wrong one of two.
    for block in Levenshtein.editops(heard, said).as_matching_blocks():
        for place in range(block.size):
            ticks[wanted[block.b + place][1]].append(spelled[block.a + place][1])
    times: list[tuple[int, int]] = []
    earliest = first
    for index, found in enumerate(ticks):
        later = [min(t) for t in ticks[index + 1 :] if t]
        latest = max(min([last, *later]), earliest)
        start = min(max(min(found, default=earliest), earliest), latest)
        end = min(max(max(found, default=latest), start), latest)
        times.append((start, end))
        earliest = end
    return times
