"""The adapter in step with the clock: tokens wait for the word they belong to."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.ear.adapter.config import Rate
from duplex_agent.ear.adapter.tick_adapter import AdapterState, TickAdapter

# Chosen by measurement, docs/adapter.md: as many right answers as with 0.9, for fewer tokens.
SKIP_ABOVE: Final = 0.5
"""Probability of blank from which on a token says nothing and is left out."""
_LEAD_TICKS: Final = 5
# No word is committed later than this after it was said: a transcriber's window is never longer.
_LONGEST_WAIT_TICKS: Final = 210
_MOST_WORDS: Final = 100


@dataclass(frozen=True)
class Told:
    """A token of the ticks up to ``tick``, its vector [width] and its probability of blank."""

    tick: int
    vector: NDArray[np.float32]
    blank: float


@dataclass
class AdapterStreamState:
    """One conversation: ``tick`` heard so far, the latest tokens, and the last tick of each of the
    latest words.
    """

    adapter: AdapterState
    tick: int = 0
    latest: tuple[Told, ...] = ()
    ends: tuple[int, ...] = ()

    def clone(self) -> "AdapterStreamState":
        """An independent copy."""
        return AdapterStreamState(replace(self.adapter), self.tick, self.latest, self.ends)


class AdapterStream:
    """Gives every word the tokens of its ticks."""

    def __init__(self, adapter: TickAdapter, rate: Rate, skip_above: float = SKIP_ABOVE) -> None:
        """``skip_above`` 1 leaves nothing out."""
        self.adapter = adapter
        self._rate: Rate = rate
        self._skip_above = skip_above

    def new_state(self) -> AdapterStreamState:
        """A state that has heard nothing."""
        return AdapterStreamState(self.adapter.new_state())

    def hear(
        self,
        state: AdapterStreamState,
        features: NDArray[np.float32],
        characters: NDArray[np.float32],
    ) -> None:
        """Take a tick's ``features`` [4, width] and log-probabilities of ``characters`` [4, n].

        Changes ``state`` in place. Raises AudioError for NaN or infinity; the state then stays.
        """
        token = self.adapter.step(state.adapter, features, characters, self._rate)
        if token is not None:
            new = Told(state.tick, token.vector, token.blank)
            oldest = state.tick - _LONGEST_WAIT_TICKS
            state.latest = (*(old for old in state.latest if old.tick > oldest), new)
        state.tick += 1

    def take(self, state: AdapterStreamState, first: int, last: int) -> NDArray[np.float32]:
        """Tokens [n >= 1, width] of what was said up to tick ``last`` in a word that began at tick
        ``first``; no tick is told twice.

        Sure blanks are left out, but the least sure of them stays where all are. A word without a
        token of its own is one of silence.
        """
        # A pause before the word says nothing, however long it was.
        since = max([first - _LEAD_TICKS - 1, *state.ends[-1:]])
        own = [token for token in state.latest if since < token.tick <= last]
        state.ends = (*state.ends[-_MOST_WORDS:], max([last, *state.ends[-1:]]))
        kept = [token for token in own if token.blank < self._skip_above]
        if not kept:
            kept = sorted(own, key=lambda token: token.blank)[:1]
        if not kept:
            return self.adapter.blank_vector[None].copy()
        return np.stack([token.vector for token in kept])

    def revise(self, state: AdapterStreamState, words: int) -> None:
        """The last ``words`` words were revised: others will take their tokens."""
        state.ends = state.ends[: max(0, len(state.ends) - words)]
