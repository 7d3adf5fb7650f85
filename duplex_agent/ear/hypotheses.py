"""Hypotheses of Whisper's decoder as words, without the words that nobody said."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, takewhile
from typing import Final

from duplex_agent.ear.whisper_decoder import Subword
from duplex_agent.ear.word_times import character_distance, ctc_characters, spoken_length

Subwords = tuple[Subword, ...]
"""The subwords of one word."""
_MARKS: Final = (".", "?", "!")


def text_of(word: Subwords) -> str:
    """The word as written, with the space before it."""
    return "".join(subword.text for subword in word)


def words_of(subwords: list[Subword]) -> list[Subwords]:
    """Subwords grouped into words: a word begins with a space."""
    words: list[list[Subword]] = []
    for subword in subwords:
        if words and not subword.text.startswith(" "):
            words[-1].append(subword)
        else:
            words.append([subword])
    return [tuple(word) for word in words]


def alternatives_of(word: Subwords) -> tuple[tuple[str, float], ...]:
    """N-best spellings of the word: alternatives of its first subword that are whole words."""
    tail = "".join(subword.text for subword in word[1:])
    best, *rest = word[0].alternatives
    if ctc_characters(tail):
        return ((best[0] + tail, 1.0),)
    others = [
        (text + tail, probability)
        for text, probability in rest
        if text.startswith(" ") and ctc_characters(text) not in ("", ctc_characters(best[0]))
    ]
    return ((best[0] + tail, best[1]), *others)


def as_written(word: Subwords, opens: bool, closes: bool) -> tuple[tuple[str, float], ...]:
    """``alternatives_of(word)`` as written where it ``opens`` or ``closes`` a sentence.

    Without what was said before, Whisper takes speech for the middle of a sentence, and a pause for
    a comma. Language models answer such questions as if more were to come.
    """
    if closes and len(word) > 1 and word[-1].text == ",":
        mark = next((text for text, _ in word[-1].alternatives if text in _MARKS), "")
        word = (*word[:-1], replace(word[-1], alternatives=((mark, 1.0),)))
    alternatives = alternatives_of(word)
    if opens:
        alternatives = tuple((_capital(text), probability) for text, probability in alternatives)
    return alternatives


def _capital(text: str) -> str:
    word = text.lstrip()
    return text[: len(text) - len(word)] + word[:1].upper() + word[1:]


def character_count(words: list[Subwords]) -> int:
    """Characters of ``words`` when they are spelled."""
    return sum(spoken_length(text_of(word)) for word in words)


def alike(words: Sequence[Subwords], others: Sequence[Subwords]) -> int:
    """How many words from the first on are the same."""
    pairs = zip(words, others, strict=False)
    same = takewhile(lambda pair: [p.id for p in pair[0]] == [p.id for p in pair[1]], pairs)
    return sum(1 for _ in same)


def without_echo(known: list[Subwords], words: list[Subwords]) -> list[Subwords]:
    """``words`` without those that repeat the words right before them, or in ``known``.

    A decoder that is given little audio tends to transcribe it twice.
    """
    kept = list(known)
    for word in words:
        kept.append(word)
        said = [ctc_characters(text_of(w)) for w in kept]
        for size in range(len(said) // 2, 0, -1):
            if said[-size:] == said[-2 * size : -size] and len(kept) - size >= len(known):
                del kept[-size:]
                break
    return kept[len(known) :]


def spoken_part(
    words: list[Subwords], spelled: Sequence[tuple[str, int]]
) -> tuple[list[Subwords], int]:
    """``words`` without what a decoder adds at the end of the audio, and the edit distance of the
    rest to the CTC characters. Added are last words of which no character was spelled, and
    repeated ones without which the distance is smaller.
    """
    texts = ["", *accumulate(map(text_of, words))]
    distances = [character_distance(text, spelled) for text in texts]
    said = [ctc_characters(text_of(word)) for word in words]
    nearest = min(distances)
    kept = len(words)
    while kept > 1:
        last = said[kept - 1]
        added = distances[kept] - distances[kept - 1] >= len(last)
        echoed = distances[kept] > nearest and last in said[: kept - 1]
        if not added and not echoed:
            break
        kept -= 1
    return words[:kept], distances[kept]
