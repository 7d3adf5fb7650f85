"""Transcribed speech for the ear: held-out synthetic voices and human readers."""

from dataclasses import dataclass
from typing import Final

from duplex_agent.assets.table import Asset, Wheel
from duplex_evals.content.spoken_qa import voice_of
from duplex_evals.conversation.pools import transcripts
from duplex_evals.conversation.scenario import Clip
from duplex_evals.errors import ClipError
from duplex_evals.texts import lines
from duplex_evals.understanding.sentence_embedding import local_file

SYNTHETIC: Final = "synthetic"
LIBRIVOX: Final = "LibriVox"
TWO_CITIES: Final = "Two Cities"
CARDS: Final = "cards"
NOVELS: Final = (LIBRIVOX, TWO_CITIES)
"""The human groups that the target is set for."""

RECORDING: Final = Asset(
    "two-cities",
    "moonshine-voice/two_cities.wav",
    4260326,
    "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
    "MIT (the wheel; terms of the recording are not stated)",
    "evals",
    "44 s of a novel read by a person, 48 kHz",
    (
        Wheel(
            "moonshine-voice==0.1.5",
            "1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496",
            19897307,
            "moonshine_voice/assets/two_cities.wav",
        ),
    ),
)
# The opening of "A Tale of Two Cities" (Dickens, 1859) as it is read there.
_TEXT: Final = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age"
    " of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the"
    " season of light, it was the season of darkness, it was the spring of hope, it was the winter"
    " of despair, we had everything before us, we had nothing before us, we were all going direct"
    " to heaven, we were all going direct the other way. In short, the period was so far like the"
    " present period that some of its noisiest authorities insisted on its being received, for good"
    " or for evil, in the superlative degree of comparison only."
)


@dataclass(frozen=True)
class Spoken:
    """``clip`` and, in ``clip.text``, what is said in it; ``voice`` is its group in a table."""

    group: str
    voice: str
    clip: Clip


def synthetic(limit: int | None) -> list[Spoken]:
    """The held-out sentences in held-out voices."""
    pairs = [(text, voice_of(n)) for n, text in enumerate(lines("ear_sentences.txt")[:limit])]
    return [Spoken(SYNTHETIC, voice, Clip(text=text, voice=voice)) for text, voice in pairs]


def human(limit: int | None) -> tuple[list[Spoken], list[str]]:
    """Recordings of people, at most ``limit`` of each kind, and why any are missing."""
    found: list[Spoken] = []
    missing: list[str] = []
    for group, pool in ((LIBRIVOX, "librivox"), (CARDS, "cards")):
        try:
            texts = list(transcripts(pool).items())[:limit]
        except ClipError as error:
            missing.append(str(error))
            continue
        found += [Spoken(group, group, Clip(file=f"{pool}:{n}", text=t)) for n, t in texts]
    return found, missing


def two_cities() -> Spoken:
    """The recording of the wheel moonshine-voice. Raises AssetError."""
    return Spoken(TWO_CITIES, TWO_CITIES, Clip(file=str(local_file(RECORDING)), text=_TEXT))
