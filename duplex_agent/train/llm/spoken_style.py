"""Which replies are good to hear: short whole sentences in words that can be read aloud."""

import re
from dataclasses import dataclass
from typing import Final

from duplex_agent.llm.chat import is_sentence_end
from duplex_agent.voice.spoken_text import spoken_word

MAX_SENTENCES: Final = 2
MAX_WORDS: Final = 25
_LIST_LINE = re.compile(r"^\s*(?:\d+[.)]\s|[-*•]\s)", re.MULTILINE)
_MARKUP = re.compile(r"[*#`|<>{}\[\]_~\\]|https?:|www\.|\w@\w|:\s*$")
_UNSPOKEN = re.compile(r"[\d%$€£&+=°@/]")
_ABOUT_ITSELF = re.compile(r"language model|\bas an ai\b|\bai assistant\b", re.IGNORECASE)


@dataclass(frozen=True)
class SpokenReply:
    """A reply fit for the ear; ``verbatim`` if it is a start of what was written."""

    text: str
    verbatim: bool


def as_spoken(text: str) -> SpokenReply | None:
    """The first one or two sentences of a written reply as they are said, or None if none is good.

    Digits and symbols become words. Refused: lists, markup, addresses, sentences that do not end,
    more than 25 words in the first sentence, loops, and talk about being a language model.
    """
    if _LIST_LINE.search(text):
        return None
    line = text.strip().partition("\n")[0].strip()
    if not line or _MARKUP.search(line) or _ABOUT_ITSELF.search(line):
        return None
    said = _in_words(line)
    kept = sentences(said)[:MAX_SENTENCES]
    while kept and sum(len(s.split()) for s in kept) > MAX_WORDS:
        kept.pop()
    reply = " ".join(kept)
    if not reply or _UNSPOKEN.search(reply) or _goes_round(reply):
        return None
    return SpokenReply(reply, verbatim=text.strip().startswith(reply))


def sentences(text: str) -> list[str]:
    """The whole sentences at the start of ``text``; a rest without an end is left out."""
    found: list[str] = []
    begun: list[str] = []
    for word in text.split():
        begun.append(word)
        if is_sentence_end(" ".join(begun)):
            found.append(" ".join(begun))
            begun = []
    return found


def _in_words(line: str) -> str:
    """``line`` with every word that holds a digit or a symbol written out."""
    words = line.split()
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    said = [
        spoken_word(word, before, after) if _UNSPOKEN.search(word) else word
        for before, word, after in around
    ]
    text = " ".join(word for word in said if word)
    return text[:1].upper() + text[1:]


def _goes_round(text: str) -> bool:
    """Whether three words in a row come back."""
    words = re.findall(r"[a-z']+", text.lower())
    threes = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    return len(set(threes)) < len(threes)
