"""The speller and the timing model on ONNX Runtime, as ``reference`` has them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.runtime.onnx_session import open_session, run
from duplex_agent.voice.config import TEXT_LEFT, TEXT_RIGHT, PhonesConfig, TimingConfig
from duplex_agent.voice.phones import character_ids


class _OnnxText:
    """Convolutions over a text, of which ``layers`` see how far around a symbol they look."""

    def __init__(self, layers: int, model: Path) -> None:
        self.look_ahead, self.look_back = layers * TEXT_RIGHT, layers * TEXT_LEFT
        self._session = open_session(model)

    def _read(self, symbols: list[int]) -> NDArray[Any]:
        (found,) = run(self._session, {"symbols": np.array([symbols])})
        return found.ravel()


class OnnxPhones(_OnnxText):
    """The speller."""

    def __init__(self, config: PhonesConfig, model: Path) -> None:
        """``model``: what ``speller_graph`` wrote. CheckpointError when it cannot be run."""
        super().__init__(config.layers, model)

    def best_slots(self, text: str) -> list[int]:
        """Most likely symbol of each of the ``3 * len(text)`` slots, ``BLANK`` included."""
        if not text:
            return []
        best: list[int] = self._read(character_ids(text)).tolist()
        return best


class OnnxTiming(_OnnxText):
    """The duration model."""

    def __init__(self, config: TimingConfig, model: Path) -> None:
        """``model``: what ``timing_graph`` wrote. CheckpointError when it cannot be run."""
        super().__init__(config.layers, model)

    def seconds(self, phones: list[int]) -> list[float]:
        """Durations of ``phones`` in seconds."""
        if not phones:
            return []
        seconds: list[float] = self._read(phones).tolist()
        return seconds
