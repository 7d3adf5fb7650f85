"""A user of plain samples, and the detector and ears that hear him.

Level 0 is silence, and the first sample of a sounding tick numbers the word that the ear will
understand in it (0: none).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.hearing import HeardWord, Hearing

Sound = NDArray[np.float32]
WORDS = ["", " tell", " me", " more", " please", " stop", " wait", " why"]
LEVEL = 0.1
STEP = 1 / 64  # first sample of a tick = word number * STEP: exact in float32


def say(*words: str, rest: int = 0) -> list[Sound]:
    """A tick for each word ("" for a sound that is no word), then ``rest`` silent ticks."""
    ticks = []
    for word in words:
        tick = np.full(USER_TICK_SAMPLES, LEVEL, dtype=np.float32)
        tick[0] = WORDS.index(f" {word}" if word else "") * STEP
        ticks.append(tick)
    return ticks + [np.zeros(USER_TICK_SAMPLES, dtype=np.float32)] * rest


def soft(word: str) -> Sound:
    """A tick in which the ear understands a word, too soft for the detector."""
    [tick] = say(word)
    tick[1:] = 0.0
    return tick


class LevelVad:
    """Speech is what is not silent."""

    def step(self, pcm: Sound) -> float:
        return 0.95 if pcm[-1] > LEVEL / 2 else 0.02

    def reset(self) -> None: ...

    def clone(self) -> "LevelVad":
        return self


class NumberEar:
    """Reads the word's number in a tick's first sample, four ticks later (or ``late`` more).

    ``really``: the words that it revises a tick later, and what they were.
    ``finalized``: in which ticks it was told that its words are being answered.
    """

    def __init__(self, thinker: Any, late: int = 0, really: dict[str, str] | None = None) -> None:
        self._thinker = thinker
        self.look_ahead_ticks = 4
        self._late = late
        self._really = really or {}
        self.finalized: list[int] = []

    def new_state(self) -> list[int]:
        """Numbers of the ticks so far."""
        return []

    def step(self, state: list[int], pcm: Sound) -> Hearing:
        state.append(round(float(pcm[0]) / STEP))
        tick = len(state) - 1 - self.look_ahead_ticks - self._late
        settled = not any(state[max(tick + 1, 0) :])
        word = WORDS[state[tick]] if tick >= 0 else ""
        before = WORDS[state[tick - 1]] if tick >= 1 else ""
        if before in self._really:
            return Hearing(self._heard(self._really[before], tick - 1), settled, revised=1)
        return Hearing(self._heard(word, tick) if word else (), settled)

    def _heard(self, word: str, tick: int) -> tuple[HeardWord, ...]:
        rows = self._thinker.embed(self._thinker.tokenizer.encode(word))
        return (HeardWord(rows, word, tick, tick),)

    def finalize(self, state: list[int]) -> None:
        self.finalized.append(len(state))


@dataclass(frozen=True)
class Heard:
    """What an ear says in a tick: words, each with the tick in which it was said."""

    words: tuple[tuple[str, int], ...] = ()
    settled: bool = True
    revised: int = 0


class ToldEar:
    """Says in each tick what it is told to say, nothing where nothing is told."""

    look_ahead_ticks = 4

    def __init__(self, told: dict[int, Heard], thinker: Any) -> None:
        self._told = told
        self._thinker = thinker

    def new_state(self) -> list[int]:
        """Numbers of the ticks so far."""
        return []

    def step(self, state: list[int], pcm: Sound) -> Hearing:
        state.append(len(state))
        told = self._told.get(state[-1], Heard())
        words = tuple(
            HeardWord(self._thinker.embed(self._thinker.tokenizer.encode(text)), text, at, at)
            for text, at in told.words
        )
        return Hearing(words, told.settled, told.revised)

    def finalize(self, state: list[int]) -> None: ...
