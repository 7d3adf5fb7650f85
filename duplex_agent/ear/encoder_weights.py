"""The encoder's weights as arrays: read from a file, or between two encoders."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.audio.mel import MELS
from duplex_agent.ear.encoder_config import CHARACTERS, EarConfig
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint

PREFIX: Final = "encoder."
"""What all names begin with in a weight file."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class EncoderWeights:
    """Float32 arrays by name, linear ones [out, in]. CheckpointError unless they fit ``config``."""

    arrays: dict[str, Array]
    config: EarConfig = field(default_factory=EarConfig)

    def __post_init__(self) -> None:
        checkpoint.check_shapes("the ear's encoder", self.arrays, _shapes(self.config))


def load_weights(path: Path) -> EncoderWeights:
    """The encoder in the file ``path``. Raises CheckpointError."""
    arrays = checkpoint.under(checkpoint.load(path, (PREFIX,))[0], PREFIX)
    return EncoderWeights(arrays)


def between(ear: EncoderWeights, whisper: dict[str, Array], weight: float) -> EncoderWeights:
    """An encoder whose weights are ``weight`` of ``ear``'s and the rest of ``whisper``'s.

    The character head, which Whisper has not, is ``ear``'s. Raises CheckpointError where the two
    have other sizes.
    """
    rest = np.float32(1 - weight)
    arrays = dict(ear.arrays)
    for name, theirs in whisper.items():
        own = arrays.get(name)
        if own is None or own.shape != theirs.shape:
            raise CheckpointError(f"the ear's encoder and Whisper's differ in the size of {name}")
        arrays[name] = own - (own - theirs) * rest
    return EncoderWeights(arrays, ear.config)


def _shapes(config: EarConfig) -> dict[str, tuple[int, ...]]:
    width, layers = config.width, [f"layers.{i}" for i in range(config.depth)]
    weights: dict[str, tuple[int, ...]] = {
        "conv1": (width, MELS, 3),
        "conv2": (width, width, 3),
        "norm": (width,),
        "characters.0": (width, width),
        "characters.2": (len(CHARACTERS), width),
    }
    for layer in layers:
        weights |= {
            f"{layer}.norm1": (width,),
            f"{layer}.qkv": (3 * width, width),
            f"{layer}.out": (width, width),
            f"{layer}.norm2": (width,),
            f"{layer}.up": (4 * width, width),
            f"{layer}.down": (width, 4 * width),
        }
    return checkpoint.weights_and_biases(weights)
