"""The neural adapter in step with the clock, on ONNX Runtime: a tick's features in, a token out.

It gives what ``reference.adapter`` gives for whole recordings.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.ear.adapter.config import BLANK, AdapterConfig, Rate
from duplex_agent.errors import AudioError
from duplex_agent.runtime.onnx_session import Model, open_session

_NEVER: Final = np.float32(-1e9)

Array = NDArray[np.float32]


@dataclass
class AdapterState:
    """What the adapter remembers of one conversation; ``tick`` ticks were heard.

    ``left``: keys and values of the last ticks, by name. ``first``: what the first tick [1, width]
    of a pair said that is not whole yet.
    """

    tick: int
    left: dict[str, Array]
    first: Array | None = None


@dataclass(frozen=True)
class Token:
    """``vector`` [thinker's width], and log-probabilities [1 + ids] of blank and the ids."""

    vector: Array
    log_probs: Array

    @property
    def blank(self) -> float:
        """The probability of blank: how sure it is that this token says nothing new."""
        return float(np.exp(self.log_probs[BLANK]))


class TickAdapter:
    """Hears one tick after the other; holds no conversation."""

    def __init__(
        self,
        listening: Model,
        token: Model,
        blank_vector: Array,
        config: AdapterConfig | None = None,
    ) -> None:
        """The graphs are those of ``adapter.graph``; ``blank_vector`` [thinker's width] is a token
        that says nothing. Raises CheckpointError when ONNX Runtime cannot run them.
        """
        self.blank_vector = blank_vector
        self._config = config or AdapterConfig()
        self._listening, self._token = open_session(listening), open_session(token)
        outputs = [output.name for output in self._listening.get_outputs()]
        self._left = [name.removeprefix("next_") for name in outputs[1:]]

    def new_state(self) -> AdapterState:
        """A state that has heard nothing."""
        shape = (1, self._config.context_ticks, self._config.width)
        return AdapterState(0, {name: np.zeros(shape, np.float32) for name in self._left})

    def step(
        self, state: AdapterState, features: Array, characters: Array, rate: Rate
    ) -> Token | None:
        """Hear one tick, ``features`` [4, ear width] and log-probabilities of its ``characters``
        [4, characters]; its token, or None in the first tick of a pair.

        Changes ``state`` in place. Raises AudioError for NaN or infinity; the state then stays.
        """
        heard = np.concatenate([features.ravel(), np.exp(characters).ravel()])
        if not np.isfinite(heard).all():
            raise AudioError("the ear's features hold NaN or infinity")
        context = self._config.context_ticks
        unheard = np.zeros((1, 1, 1, context + 1), np.float32)
        unheard[..., : max(0, context - state.tick)] = _NEVER
        feeds = {"heard": heard[None, None], "unheard": unheard, **state.left}
        said, *left = self._listening.run(None, feeds)
        state.left = dict(zip(self._left, left, strict=True))
        state.tick += 1
        if rate == 1:
            return self._say(said[0])
        if state.first is None:
            state.first = said[0]
            return None
        both, state.first = (state.first + said[0]) / 2, None
        return self._say(both)

    def _say(self, said: Array) -> Token:
        vector, log_probs = self._token.run(None, {"said": said})
        return Token(vector[0], log_probs[0])
