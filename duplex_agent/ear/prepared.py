"""Files that make the ear start fast: its graphs, and what it makes of silence.

They are made once from the weight file and Whisper's encoder, and kept in the assets cache under
the fingerprints of both.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.adapter.tick_adapter import TickAdapter
from duplex_agent.ear.full_context import SILENCE_TICKS, FullContext
from duplex_agent.ear.hearing import LOOK_AHEADS
from duplex_agent.ear.tick_encoder import TickEncoder
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint
from duplex_agent.runtime.disk_cache import derived_folder

EAR_WEIGHT: Final = 0.5
"""Weight of the ear's own parameters in the full-context encoder; the rest is Whisper's."""

_WHISPER: Final = "whisper-tiny.en"
# Raise it whenever files of an older one must not be used any more.
_VERSION: Final = 2
_GRAPH_FILE: Final = "graph.onnx"
_SILENCE_FILE: Final = "silence.npy"
_TOKEN_FILE: Final = "token.onnx"
_BLANK_FILE: Final = "blank.npy"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PreparedEar:
    """An ear at one look-ahead, in two folders."""

    look_ahead_ticks: int
    tick_folder: Path
    full_context_folder: Path

    def encoder(self) -> TickEncoder:
        """The encoder in step with the clock; raises CheckpointError."""
        return TickEncoder(self.tick_folder / _GRAPH_FILE, self.look_ahead_ticks)

    def silence(self) -> Array:
        """What the encoder, in full precision, makes of four seconds of silence, [200, width]."""
        features: Array = np.load(self.tick_folder / _SILENCE_FILE)
        return features

    def full_context(self) -> FullContext:
        """The encoder of the full-context pass; raises CheckpointError."""
        return FullContext(self.full_context_folder / _GRAPH_FILE)


def prepared_ear(path: Path, look_ahead_ticks: int) -> PreparedEar:
    """The ear in the weight file ``path``, its files made now if they are not there.

    Raises AssetError, and CheckpointError for damaged weights and for another look-ahead than 1, 2
    or 4 ticks.
    """
    if look_ahead_ticks not in LOOK_AHEADS:
        raise CheckpointError(
            f"the ear was not trained for a look-ahead of {look_ahead_ticks} ticks: {LOOK_AHEADS}"
        )
    label = f"ear-{checkpoint.fingerprint(path)}"
    whisper = assets.find(_WHISPER).sha256[:16]
    return PreparedEar(
        look_ahead_ticks,
        derived_folder(
            f"{label}-{look_ahead_ticks}-ticks-v{_VERSION}", _tick_builder(path, look_ahead_ticks)
        ),
        derived_folder(f"{label}-{whisper}-full-context-v{_VERSION}", _full_context_builder(path)),
    )


def prepared_adapter(path: Path, table: Array, thinker: str) -> TickAdapter:
    """The adapter in ``path`` for the thinker with embeddings ``table`` and that fingerprint.

    Raises AssetError, and CheckpointError for a damaged file or another thinker's.
    """

    def build(folder: Path) -> None:
        from duplex_agent.ear.adapter.graph import listening_graph, token_graph
        from duplex_agent.ear.adapter.weights import load_adapter
        from duplex_agent.runtime.onnx_graph import write_model

        _note("adapter")
        weights = load_adapter(table, thinker, path)
        write_model(listening_graph(weights), folder / _GRAPH_FILE)
        write_model(token_graph(weights), folder / _TOKEN_FILE)
        np.save(folder / _BLANK_FILE, weights.arrays["blank_vector"])

    folder = derived_folder(f"adapter-{checkpoint.fingerprint(path)}-{thinker}-v{_VERSION}", build)
    blank_vector: Array = np.load(folder / _BLANK_FILE)
    return TickAdapter(folder / _GRAPH_FILE, folder / _TOKEN_FILE, blank_vector)


def _tick_builder(path: Path, look_ahead_ticks: int) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        from duplex_agent.ear.encoder_graph import tick_graph
        from duplex_agent.ear.encoder_weights import load_weights
        from duplex_agent.runtime.onnx_graph import write_model

        _note(f"{look_ahead_ticks} ticks ahead")
        weights = load_weights(path)
        write_model(tick_graph(weights, look_ahead_ticks, "int8"), folder / _GRAPH_FILE)
        exact = TickEncoder(tick_graph(weights, look_ahead_ticks, "fp32"), look_ahead_ticks)
        np.save(folder / _SILENCE_FILE, silence_features(exact))

    return build


def _full_context_builder(path: Path) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        from duplex_agent.ear.encoder_graph import full_context_graph
        from duplex_agent.ear.encoder_weights import between, load_weights
        from duplex_agent.ear.whisper_weights import encoder_state
        from duplex_agent.runtime.onnx_graph import write_model

        _note("full-context pass")
        whisper = encoder_state(assets.path(_WHISPER))
        weights = between(load_weights(path), whisper, EAR_WEIGHT)
        write_model(full_context_graph(weights, "fp32"), folder / _GRAPH_FILE)

    return build


def silence_features(encoder: TickEncoder) -> Array:
    """What ``encoder`` makes of four seconds of silence, [200, width]."""
    state, features = encoder.new_state(), []
    for _ in range(SILENCE_TICKS + encoder.look_ahead_ticks):
        state, found, _ = encoder.step(state, np.zeros(USER_TICK_SAMPLES, np.float32))
        features.append(found)
    return np.concatenate(features[encoder.look_ahead_ticks :])


def _note(what: str) -> None:
    print(f"Preparing the ear (once): {what}", file=sys.stderr, flush=True)
