"""What Whisper's decoder read, as words; and what of it nobody said."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, takewhile
from typing import Final

from duplex_agent.ear.whisper_decoder import ReadPiece
from duplex_agent.ear.word_times import letters_apart, letters_of, spoken_size

Pieces = tuple[ReadPiece, ...]
"""The pieces of one word."""
_MARKS: Final = (".", "?", "!")


def text_of(word: Pieces) -> str:
    """The word as written, with the space before it."""
    return "".join(piece.text for piece in word)


def words_of(pieces: list[ReadPiece]) -> list[Pieces]:
    """Pieces grouped into words: a word begins with a space."""
    words: list[list[ReadPiece]] = []
    for piece in pieces:
        if words and not piece.text.startswith(" "):
            words[-1].append(piece)
        else:
            words.append([piece])
    return [tuple(word) for word in words]


def guesses_of(word: Pieces) -> tuple[tuple[str, float], ...]:
    """What the word may be: rivals of its first piece if they are other whole words."""
    tail = "".join(piece.text for piece in word[1:])
    best, *rivals = word[0].guesses
    if letters_of(tail):
        return ((best[0] + tail, 1.0),)
    others = [
        (text + tail, share)
        for text, share in rivals
        if text.startswith(" ") and letters_of(text) not in ("", letters_of(best[0]))
    ]
    return ((best[0] + tail, best[1]), *others)


def as_written(word: Pieces, opens: bool, closes: bool) -> tuple[tuple[str, float], ...]:
    """``guesses_of(word)`` as written by a person who ``opens`` or ``closes`` a sentence with it.

    Whisper takes a sound without what was said before it for the middle of a sentence, and a pause
    for a comma. Language models mind: they answer such questions as if more were to come.
    """
    if closes and len(word) > 1 and word[-1].text == ",":
        mark = next((text for text, _ in word[-1].guesses if text in _MARKS), "")
        word = (*word[:-1], replace(word[-1], guesses=((mark, 1.0),)))
    guesses = guesses_of(word)
    if opens:
        guesses = tuple((_capital(text), share) for text, share in guesses)
    return guesses


def _capital(text: str) -> str:
    letters = text.lstrip()
    return text[: len(text) - len(letters)] + letters[:1].upper() + letters[1:]


def letter_count(words: list[Pieces]) -> int:
    """Letters of ``words`` when they are spelled."""
    return sum(spoken_size(text_of(word)) for word in words)


def alike(words: Sequence[Pieces], others: Sequence[Pieces]) -> int:
    """How many words from the first on are the same."""
    pairs = zip(words, others, strict=False)
    same = takewhile(lambda pair: [p.id for p in pair[0]] == [p.id for p in pair[1]], pairs)
    return sum(1 for _ in same)


def without_echo(known: list[Pieces], words: list[Pieces]) -> list[Pieces]:
    """``words`` without those that say again what stands right before them, or in ``known``.

    A decoder that is given a short sound tends to read it twice.
    """
    kept = list(known)
    for word in words:
        kept.append(word)
        said = [letters_of(text_of(w)) for w in kept]
        for size in range(len(said) // 2, 0, -1):
            if said[-size:] == said[-2 * size : -size] and len(kept) - size >= len(known):
                del kept[-size:]
                break
    return kept[len(known) :]


def spoken_part(
    words: list[Pieces], spelled: Sequence[tuple[str, int]]
) -> tuple[list[Pieces], int]:
    """``words`` without what a decoder adds at the end of a sound, and how far the rest is from
    the letters: last words of which no letter was spelled, and those that only come back while
    fewer would be nearer to the letters.
    """
    texts = ["", *accumulate(map(text_of, words))]
    apart = [letters_apart(text, spelled) for text in texts]
    said = [letters_of(text_of(word)) for word in words]
    nearest = min(apart)
    kept = len(words)
    while kept > 1:
        last = said[kept - 1]
        added = apart[kept] - apart[kept - 1] >= len(last)
        echoed = apart[kept] > nearest and last in said[: kept - 1]
        if not added and not echoed:
            break
        kept -= 1
    return words[:kept], apart[kept]
