"""The adapter on disk: its own weights and the ids it knows; the thinker's table stays outside."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.ear.adapter.config import AdapterConfig
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint

RECIPE: Final = "adapter"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class AdapterWeights:
    """Float32 ``arrays`` by name, linear ones [out, in]; ``rows`` [ids, thinker's width] are the
    thinker's embeddings of the ``ids`` it knows. CheckpointError unless all fit ``config``.
    """

    arrays: dict[str, Array]
    ids: NDArray[np.integer]
    rows: Array
    config: AdapterConfig = field(default_factory=AdapterConfig)

    def __post_init__(self) -> None:
        checkpoint.check_shapes("the adapter", self.arrays, _shapes(self.config, *self.rows.shape))


def load_adapter(
    table: NDArray[np.float32],
    thinker: str,
    path: Path,
    config: AdapterConfig | None = None,
) -> AdapterWeights:
    """The adapter of ``path`` for the thinker with embeddings ``table`` and that fingerprint.

    Raises CheckpointError for a damaged file, another kind of file, or another thinker's.
    """
    arrays, notes = checkpoint.load(path)
    ids = arrays.pop("ids", None)
    if notes.get("recipe") != RECIPE or ids is None:
        raise CheckpointError(f"{path} holds no adapter")
    if notes.get("backbone") != thinker:
        raise CheckpointError(f"{path} was trained with another language model")
    if ids.ndim != 1 or not len(ids) or ids.min() < 0 or ids.max() >= len(table):
        raise CheckpointError(f"{path} names tokens that the language model does not have")
    return AdapterWeights(arrays, ids, table[ids], config or AdapterConfig())


def _shapes(config: AdapterConfig, ids: int, target: int) -> dict[str, tuple[int, ...]]:
    width = config.width
    weights: dict[str, tuple[int, ...]] = {
        "enter": (width, config.inputs),
        "norm": (width,),
        "query": (target, width),
        "blank": (1, width),
        "rest": (target, width),
    }
    others: dict[str, tuple[int, ...]] = {
        "log_scale": (),
        "often": (ids,),
        "blank_vector": (target,),
    }
    for i in range(config.depth):
        weights |= {
            f"layers.{i}.norm1": (width,),
            f"layers.{i}.qkv": (3 * width, width),
            f"layers.{i}.out": (width, width),
            f"layers.{i}.norm2": (width,),
            f"layers.{i}.up": (4 * width, width),
            f"layers.{i}.down": (width, 4 * width),
        }
        others[f"layers.{i}.near"] = (config.heads, config.context_ticks + 1)
    return checkpoint.weights_and_biases(weights) | others
