"""What users say in training: chat sentences and made-up everyday questions and requests.

Chat text alone hardly ever asks for facts, sums, places or recipes, so half of the sentences come
from patterns with wide word lists. Evaluation sentences are left out of both halves.
"""

import random
import re
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

from duplex_agent.train.data.text import held_out, normalise, training_sentences
from duplex_agent.voice.spoken_text import speakable

_DATA: Final = Path(__file__).parent
_SLOT = re.compile(r"\{(\w+)\}")
_PLURALS: Final = {"mouses": "mice", "sheeps": "sheep", "gooses": "geese", "wolfs": "wolves"}


def _lines(name: str) -> list[str]:
    text = (_DATA / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@lru_cache(maxsize=1)
def _slots() -> dict[str, list[str]]:
    pairs = (line.split(": ", 1) for line in _lines("everyday_slots.txt"))
    return {name: values.split(" | ") for name, values in pairs}


@lru_cache(maxsize=1)
def _patterns() -> list[str]:
    return _lines("everyday_patterns.txt")


def everyday(rng: random.Random) -> str:
    """One made-up everyday sentence."""
    text = rng.choice(_patterns())
    while _SLOT.search(text):
        text = _SLOT.sub(lambda m: rng.choice(_slots()[m[1]]), text)
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    text = re.sub(r"(?<=[^s])(sh|ch|x)s\b", r"\1es", text)
    for wrong, right in _PLURALS.items():
        text = text.replace(wrong, right)
    return text


def heard_form(text: str) -> str:
    """The characters an ear can spell: lower-case words of a-z and apostrophes, single spaces."""
    plain = re.sub(r"[^a-z' ]", " ", speakable(text))
    words = (w.strip("'") for w in plain.split())
    return " ".join(w for w in words if w)


def user_sentences(count: int, seed: int) -> list[str]:
    """``count`` distinct sentences, half chat and half everyday patterns, in a seeded order.

    The patterns fill up what the chat text lacks. No evaluation sentence is among them.
    """
    rng = random.Random(seed)
    forbidden = held_out()
    chat = (s for s in training_sentences(seed) if len(heard_form(s).split()) <= 16)
    chosen = list(islice(chat, count // 2))
    seen = {normalise(s) for s in chosen}
    for _ in range(20 * count):
        if len(chosen) >= count:
            break
        sentence = everyday(rng)
        key = normalise(sentence)
        if key not in seen and key not in forbidden:
            seen.add(key)
            chosen.append(sentence)
    rng.shuffle(chosen)
    return chosen
