"""The ear's encoder in step with the clock, on ONNX Runtime: a tick of sound in, features out.

It gives what ``EarEncoder`` gives for whole recordings, ``look_ahead_ticks`` late.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_agent.audio.mel import MELS, TAIL_SAMPLES, log_mel
from duplex_agent.ear.encoder import FEATURES_PER_TICK, EarEncoder
from duplex_agent.ear.encoder_graph import tick_graph
from duplex_agent.runtime.onnx_session import Precision, open_session

_NEVER: Final = np.float32(-1e9)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TickState:
    """Everything the encoder remembers of one conversation; ``tick`` ticks were heard.

    ``offset``: position of the first feature. ``pcm`` [360] and ``mel`` [2, 80]: the ends of the
    last sound and of its frames. ``left``: what the graph left behind, by name.
    """

    tick: int
    offset: int
    pcm: Tensor
    mel: Tensor
    left: dict[str, Array]


class TickEncoder:
    """An ``EarEncoder`` that hears one tick after the other."""

    def __init__(self, encoder: EarEncoder, precision: Precision = "int8") -> None:
        """Raises CheckpointError when ONNX Runtime cannot run ``encoder``."""
        self.look_ahead_ticks = encoder.look_ahead_ticks
        self._config = config = encoder.config
        self._places = encoder.positions.numpy()
        self._session = open_session(tick_graph(encoder, precision))
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
        return TickState(0, 0, torch.zeros(TAIL_SAMPLES), torch.zeros(2, MELS), left)

    @torch.inference_mode()
    def step(self, state: TickState, pcm: Array) -> tuple[TickState, Array, Array]:
        """Hear one more tick ``pcm`` [1280]: features [4, width] and log-shares of their letters
        [4, characters] of the tick ``look_ahead_ticks`` ago.

        What comes out earlier than that has no meaning.
        """
        sound = torch.cat([state.pcm, torch.from_numpy(pcm)])
        mel = torch.cat([state.mel, log_mel(sound)])
        places = (self.place(state) + np.arange(FEATURES_PER_TICK)) % len(self._places)
        feeds = {
            "mel": mel.T[None].contiguous().numpy(),
            "places": self._places[places][None],
            **{f"hidden.{i}": self._hidden(state.tick, i) for i in range(self._config.depth)},
            **state.left,
        }
        features, letters, *left = self._session.run(None, feeds)
        after = TickState(
            state.tick + 1,
            state.offset,
            sound[-TAIL_SAMPLES:],
            mel[-2:],
            dict(zip(self._left, left, strict=True)),
        )
        return after, features[0], letters[0]

    def place(self, state: TickState) -> int:
        """Position of the next feature."""
        return (state.offset + FEATURES_PER_TICK * state.tick) % len(self._places)

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
