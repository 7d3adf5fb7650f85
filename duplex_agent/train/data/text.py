"""Training text: clean everyday sentences, with every evaluation sentence taken out."""

import json
import random
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

from duplex_agent import assets
from duplex_agent.errors import TrainingError

_CONTRACTIONS: Final = {
    "im": "I'm", "i": "I", "ive": "I've", "dont": "don't", "cant": "can't", "didnt": "didn't",
    "thats": "that's", "its": "it's", "youre": "you're", "isnt": "isn't", "doesnt": "doesn't",
    "wasnt": "wasn't", "whats": "what's", "theres": "there's", "wouldnt": "wouldn't",
    "couldnt": "couldn't", "havent": "haven't", "theyre": "they're", "arent": "aren't",
    "u": "you", "ur": "your", "yea": "yeah", "ya": "yeah", "lol": "", "haha": "", "hahaha": "",
}  # fmt: skip
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[A-Za-z']+")


def normalise(text: str) -> str:
    """Lower-case a-z only: the form in which held-out sentences are compared."""
    return re.sub(r"[^a-z]", "", text.lower())


def held_out(folder: Path | None = None) -> frozenset[str]:
    """Normalised evaluation sentences of the repository; none of them may be trained on.

    Raises TrainingError where there are none to keep out.
    """
    folder = folder or _evaluation_texts()
    texts = [
        line
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    for file in sorted(folder.glob("*.yaml")):
        texts += _asked(yaml.safe_load(file.read_text(encoding="utf-8")))
    if not texts:
        raise TrainingError(f"no evaluation sentences in {folder}: they could get into training")
    return frozenset(normalise(text) for text in texts if text.strip())


def _evaluation_texts() -> Path:
    """The evaluation's data folder, found without importing it."""
    spec = find_spec("duplex_evals")
    if spec is None or not spec.submodule_search_locations:
        raise TrainingError("training needs duplex_evals: its sentences are kept out")
    return Path(spec.submodule_search_locations[0]) / "data"


def _asked(data: Any, key: str = "") -> Iterator[str]:
    """What a user says in a list of tasks: everything under ``ask`` and ``turns``."""
    if isinstance(data, str):
        if key in ("ask", "turns"):
            yield data
    elif isinstance(data, list):
        for value in data:
            yield from _asked(value, key)
    elif isinstance(data, dict):
        for name, value in data.items():
            yield from _asked(value, key if key in ("ask", "turns") else name)


def clean(sentence: str) -> str | None:
    """A clean sentence of 1 to 24 plain English words, or None if it cannot be made into one."""
    words = []
    for word in sentence.strip().split():
        core = word.strip('.,!?;:"()').lower().replace("’", "'")
        if core in _CONTRACTIONS:
            word = word.lower().replace(core, _CONTRACTIONS[core])
        if word:
            words.append(word)
    text = " ".join(words).strip(" \"'()*-_")
    if not re.fullmatch(r"[A-Za-z',.!?;: -]+", text) or not 1 <= len(words) <= 24:
        return None
    if any(len(w) > 16 or re.search(r"(.)\1\1", w.lower()) for w in _WORD.findall(text)):
        return None
    if not re.search("[aeiouyAEIOUY]", text) or text.isupper():
        return None
    text = re.sub(r"([.,!?;:])[.,!?;:]+", r"\1", text)
    text = re.sub(r"\s+([.,!?;:])", r"\1", text)
    if not re.search(r"[.!?]$", text):
        text = text.rstrip(",;: -") + "."
    return text[0].upper() + text[1:]


def training_sentences(seed: int) -> list[str]:
    """Distinct sentences of chitchat-dataset and chatterbot-corpus in a seeded random order."""
    forbidden = held_out()
    messages = [
        message["text"]
        for conversation in json.loads(assets.path("chitchat").read_text("utf-8")).values()
        for turn in conversation["messages"]
        for message in turn
    ]
    seen: set[str] = set()
    sentences = []
    for message in messages:
        for part in _SENTENCE_END.split(message):
            sentence = clean(part)
            key = normalise(sentence) if sentence else ""
            if sentence and key and key not in seen and key not in forbidden:
                seen.add(key)
                sentences.append(sentence)
    random.Random(seed).shuffle(sentences)
    return sentences


def agent_sentences(seed: int, count: int) -> list[str]:
    """What the agent's voice learns from: mostly 4-20 words, some very short, some in pairs."""
    sentences = training_sentences(seed=0)
    plain = [s for s in sentences if 4 <= len(s.split()) <= 20]
    short = [s for s in sentences if len(s.split()) < 4]
    singles, pairs = count * 13 // 16, count // 8
    chosen = plain[:singles] + short[: count - singles - pairs]
    chosen += [
        f"{a} {b}"
        for a, b in zip(
            plain[singles : singles + pairs],
            plain[singles + pairs : singles + 2 * pairs],
            strict=True,
        )
    ]
    random.Random(seed).shuffle(chosen)
    return chosen
