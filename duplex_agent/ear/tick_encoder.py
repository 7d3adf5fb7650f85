"""The ear's encoder in step with the clock, on ONNX Runtime: a tick of audio in, features out.

It gives what ``reference.encoder`` gives for whole recordings, ``look_ahead_ticks`` late.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.audio.mel import MELS, TAIL_SAMPLES, log_mel
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK, EarConfig, sinusoids
from duplex_agent.runtime.onnx_session import Model, open_session

_NEVER: Final = np.float32(-1e9)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TickState:
    """Everything the encoder remembers of one conversation; ``tick`` ticks were heard.

    ``offset``: position of the first feature. ``pcm`` [360] and ``mel`` [2, 80]: the ends of the
    last audio and of its frames. ``left``: what the graph left behind, by name.
    """

    tick: int
    offset: int
    pcm: Array
    mel: Array
    left: dict[str, Array]


class TickEncoder:
    """Hears one tick after the other; holds no conversation."""

    def __init__(
        self,
        graph: Model,
        look_ahead_ticks: int,
        config: EarConfig | None = None,
    ) -> None:
        """``graph``: ``encoder_graph.tick_graph`` of that look-ahead and those sizes.

        Raises CheckpointError when ONNX Runtime cannot run it.
        """
        self.look_ahead_ticks = look_ahead_ticks
        self._config = config = config or EarConfig()
        self._positions = sinusoids(config.positions, config.width)
        self._session = open_session(graph)
        names = [output.name for output in self._session.get_outputs()]
        self._left = [name.removeprefix("next_") for name in names[2:]]
        ahead = [i < self.look_ahead_ticks for i in range(config.depth)]
        # Besides the tick itself; one with look-ahead is asked a tick later.
        self._seen = [config.context_ticks + sees for sees in ahead]

    def new_state(self) -> TickState:
        """A state that has heard nothing."""
        width = self._config.width
        left = {"conv": np.zeros((1, width, 1), np.float32)}
        for name in self._left[1:]:
            kind, layer = name.split(".")
            rows = 1 if kind == "waiting" else self._seen[int(layer)]
            left[name] = np.zeros((1, FEATURES_PER_TICK * rows, width), np.float32)
        pcm, mel = np.zeros(TAIL_SAMPLES, np.float32), np.zeros((2, MELS), np.float32)
        return TickState(0, 0, pcm, mel, left)

    def step(self, state: TickState, pcm: Array) -> tuple[TickState, Array, Array]:
        """Hear one more tick ``pcm`` [1280]: features [4, width] and log-probabilities of the
        CTC characters [4, characters] of the tick ``look_ahead_ticks`` ago.

        What comes out earlier than that has no meaning.
        """
        audio = np.concatenate([state.pcm, pcm])
        mel = np.concatenate([state.mel, log_mel(audio)])
        positions = (self.position(state) + np.arange(FEATURES_PER_TICK)) % len(self._positions)
        feeds = {
            "mel": np.ascontiguousarray(mel.T)[None],
            "positions": self._positions[positions][None],
            **{f"hidden.{i}": self._hidden(state.tick, i) for i in range(self._config.depth)},
            **state.left,
        }
        features, log_probs, *left = self._session.run(None, feeds)
        after = TickState(
            state.tick + 1,
            state.offset,
            audio[-TAIL_SAMPLES:],
            mel[-2:],
            dict(zip(self._left, left, strict=True)),
        )
        return after, features[0], log_probs[0]

    def position(self, state: TickState) -> int:
        """Position of the next feature."""
        return (state.offset + FEATURES_PER_TICK * state.tick) % len(self._positions)

    def begin_again(self, state: TickState) -> TickState:
        """The next feature has position 0."""
        return replace(state, offset=-FEATURES_PER_TICK * state.tick)

    def _hidden(self, tick: int, layer: int) -> Array:
        """What a layer does not see when ``tick`` arrives: ticks before the first."""
        newest = tick - min(layer, self.look_ahead_ticks)
        ticks = self._seen[layer] + 1
        hidden = np.zeros((1, 1, FEATURES_PER_TICK, FEATURES_PER_TICK * ticks), np.float32)
        hidden[..., : FEATURES_PER_TICK * max(0, ticks - 1 - max(newest, 0))] = _NEVER
        return hidden
