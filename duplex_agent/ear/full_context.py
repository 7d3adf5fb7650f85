"""Full-context re-decode: in a pause the encoder runs once more over the whole sentence.

Streaming features are good enough to follow a speaker, not to answer one. In a pause no more audio
has to be waited for, and every feature may attend to the whole sentence, as in two-pass recognition
(arXiv 1908.10992) with cascaded encoders (arXiv 2010.14606).

Its weights lie halfway between Whisper's own and the streaming ear's (arXiv 2109.01903): the ear
learnt from synthetic voices and knows short sentences and noise, Whisper knows people.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.audio.mel import TAIL_SAMPLES, log_mel
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK, EarConfig, sinusoids
from duplex_agent.runtime.onnx_session import Model, open_session

Array = NDArray[np.float32]

SILENCE_TICKS: Final = 50
"""Ticks of silence behind every sentence: the decoder stops where a recording comes to rest."""


class FullContext:
    """An encoder with full context over whole sentences, on ONNX Runtime."""

    def __init__(self, graph: Model, config: EarConfig | None = None) -> None:
        """``graph``: ``encoder_graph.full_context_graph`` of an encoder with those sizes.

        Raises CheckpointError when ONNX Runtime cannot run it.
        """
        config = config or EarConfig()
        self._positions = sinusoids(config.positions, config.width)
        self._session = open_session(graph)

    @cached_property
    def silence(self) -> Array:
        """What it makes of four seconds of silence, [200, width]."""
        return self.features([np.zeros(USER_TICK_SAMPLES, np.float32)] * SILENCE_TICKS)

    def features(self, ticks: Sequence[Array]) -> Array:
        """Features [4 n, width] of n ``ticks`` [1280] of audio."""
        pcm = np.concatenate([np.zeros(TAIL_SAMPLES, np.float32), *ticks])
        mel = np.pad(log_mel(pcm), ((2, 0), (0, 0)))
        positions = self._positions[: FEATURES_PER_TICK * len(ticks)]
        feeds = {"mel": np.ascontiguousarray(mel.T)[None], "positions": positions[None]}
        [features] = self._session.run(None, feeds)
        return np.asarray(features[0])
