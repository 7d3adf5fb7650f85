"""When words were said: their characters aligned with the CTC characters of the ear."""

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

_CHARACTERS_OF_A_DIGIT = 4


def ctc_characters(text: str) -> str:
    """``text`` as the character head would spell it without spaces, digits as they are."""
    return re.sub("[^a-z'0-9]", "", text.lower())


def spoken_length(text: str) -> int:
    """How many characters ``text`` has when it is spelled: numbers are spoken as words."""
    characters = ctc_characters(text)
    return len(characters) + (_CHARACTERS_OF_A_DIGIT - 1) * sum(map(str.isdigit, characters))


def character_distance(text: str, spelled: Sequence[tuple[str, int]]) -> int:
    """Edit distance between ``text`` and the characters ``spelled``; their ticks do not matter."""
    return Levenshtein.distance(
        ctc_characters(text), "".join(character for character, _ in spelled)
    )


def word_times(
    words: Sequence[str], spelled: Sequence[tuple[str, int]], first: int, last: int
) -> list[tuple[int, int]]:
    """First and last tick of each of ``words``, in order and never overlapping backwards.

    ``spelled``: CTC characters with their ticks. A word none of whose characters is aligned lies
    between its neighbours; all lie between ticks ``first`` and ``last``.
    """
    wanted = [(char, index) for index, word in enumerate(words) for char in ctc_characters(word)]
    ticks: list[list[int]] = [[] for _ in words]
    heard, said = ("".join(char for char, _ in pairs) for pairs in (spelled, wanted))
    # Least edits over the whole sentence: people repeat words, and the longest match may be the
    # wrong one of two.
    for block in Levenshtein.editops(heard, said).as_matching_blocks():
        for i in range(block.size):
            ticks[wanted[block.b + i][1]].append(spelled[block.a + i][1])
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
