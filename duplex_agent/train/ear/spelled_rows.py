"""Rows for the adapter that nobody spoke: characters as the ear would spell a text, no features.

A few hours of speech hold a few thousand words. How a word is spelled can be learnt from text
alone, so that the adapter knows words that no voice of the corpus ever said.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.ear.encoder_config import BLANK, CHARACTERS, FEATURES_PER_TICK
from duplex_agent.train.data.user_text import heard_form

_WRONG: Final = 0.05
_MISSING: Final = 0.04
_FLOOR: Final = 1e-4
_SYMBOLS: Final = len(CHARACTERS)


def spelled_row(text: str, ticks: int, rng: np.random.Generator) -> NDArray[np.float16] | None:
    """Log-probabilities [ticks, 4, characters] of ``text`` as it might be heard; None if too long.

    Characters stay for one to four frames of 20 ms, some are wrong and some are missing, as in the
    spelling of the ear's CTC head.
    """
    frames = ticks * FEATURES_PER_TICK
    best = np.full(frames, BLANK)
    sure = np.full(frames, 0.0, np.float32)
    at = int(rng.integers(4, 24))
    frames_per_character = rng.uniform(2.8, 4.6)
    for character in heard_form(text) + " ":
        index = CHARACTERS.index(character)
        if character != " " and rng.random() < _WRONG:
            index = int(rng.integers(1, _SYMBOLS - 1))
        if character == " " or rng.random() >= _MISSING:
            lasts = int(rng.choice((1, 2, 3, 4), p=(0.3, 0.35, 0.25, 0.1)))
            best[at : at + lasts] = index
            sure[at : at + lasts] = rng.uniform(0.5, 1.0, len(best[at : at + lasts]))
            at += lasts
        # A blank must part a doubled character from the one before it.
        at += 1 + rng.poisson(max(0.1, frames_per_character - 3))
        if at > frames - FEATURES_PER_TICK:
            return None
    probabilities = np.full((frames, _SYMBOLS), _FLOOR, np.float32)
    probabilities[:, BLANK] = np.where(best == BLANK, rng.uniform(0.9, 1.0, frames), 1 - sure)
    spoken = np.flatnonzero(best)
    probabilities[spoken, best[spoken]] += sure[spoken]
    probabilities /= probabilities.sum(1, keepdims=True)
    return np.log(probabilities).astype(np.float16).reshape(ticks, FEATURES_PER_TICK, _SYMBOLS)
