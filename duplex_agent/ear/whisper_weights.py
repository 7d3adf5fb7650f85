"""Whisper's weights out of a CTranslate2 ``model.bin``, read as plain data.

The file is a header (version, name, revision, count) and then, per variable, name, shape, a type
code and the bytes. Queries, keys and values stand fused in one matrix, as in our own layers.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import CheckpointError

_LAYER = re.compile(r"encoder/layer_(\d+)/")
_NUMPY_TYPES: Final = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_HEAD_WIDTH: Final = 64

Array = NDArray[np.float32]


def _number(file: BinaryIO, code: str) -> int:
    raw = file.read(struct.calcsize(code))
    (value,) = struct.unpack(code, raw)
    return int(value)


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "<H"))[:-1].decode()


def read_variables(path: Path, prefix: str = "encoder/") -> dict[str, Array]:
    """Variables whose name starts with ``prefix``, as float32; raises CheckpointError."""
    variables: dict[str, Array] = {}
    try:
        with path.open("rb") as file:
            _number(file, "<I")
            _string(file)
            _number(file, "<I")
            for _ in range(_number(file, "<I")):
                name = _string(file)
                shape = [_number(file, "<I") for _ in range(_number(file, "<B"))]
                kind, size = _number(file, "<B"), _number(file, "<I")
                raw = file.read(size)
                if name.startswith(prefix) and shape:
                    array = np.frombuffer(raw, _NUMPY_TYPES[kind]).reshape(shape)
                    variables[name] = array.astype(np.float32)
    except (OSError, struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not a readable CTranslate2 model ({error})") from error
    return variables


def encoder_state(path: Path) -> dict[str, Array]:
    """The ear's encoder without its character head, from Whisper's encoder in ``path``."""
    raw = read_variables(path)
    state: dict[str, Array] = {}
    try:
        for conv in ("conv1", "conv2"):
            for part in ("weight", "bias"):
                state[f"{conv}.{part}"] = raw[f"encoder/{conv}/{part}"]
        state["norm.weight"] = raw["encoder/layer_norm/gamma"]
        state["norm.bias"] = raw["encoder/layer_norm/beta"]
        numbers = [match[1] for name in raw if (match := _LAYER.match(name))]
        for i in range(1 + max(map(int, numbers), default=-1)):
            ours, theirs = f"layers.{i}", f"encoder/layer_{i}"
            for norm, source in (("norm1", "self_attention"), ("norm2", "ffn")):
                state[f"{ours}.{norm}.weight"] = raw[f"{theirs}/{source}/layer_norm/gamma"]
                state[f"{ours}.{norm}.bias"] = raw[f"{theirs}/{source}/layer_norm/beta"]
            for linear, source in (
                ("qkv", "self_attention/linear_0"),
                ("out", "self_attention/linear_1"),
                ("up", "ffn/linear_0"),
                ("down", "ffn/linear_1"),
            ):
                for part in ("weight", "bias"):
                    state[f"{ours}.{linear}.{part}"] = raw[f"{theirs}/{source}/{part}"]
    except KeyError as error:
        raise CheckpointError(f"{path} holds no Whisper encoder: {error} is missing") from error
    return state


@dataclass(frozen=True)
class DecoderWeights:
    """Whisper's decoder: float32 arrays under the names they have in the file."""

    arrays: dict[str, Array]
    vocabulary: int

    def __getitem__(self, name: str) -> Array:
        try:
            return self.arrays[f"decoder/{name}"]
        except KeyError as error:
            raise CheckpointError(f"no Whisper decoder: {error} is missing") from error

    def layer(self, index: int, name: str) -> Array:
        """A parameter of layer ``index``; raises CheckpointError when it is missing."""
        return self[f"layer_{index}/{name}"]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return sum(name.endswith("/ffn/layer_norm/beta") for name in self.arrays)

    @property
    def embedding(self) -> Array:
        """One row for each token, [vocabulary, width]; the same rows make the logits."""
        return self["embeddings/weight"][: self.vocabulary]

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        return self.embedding.shape[1]

    @property
    def head_width(self) -> int:
        """Size of one head, 64 in every Whisper."""
        return _HEAD_WIDTH

    @property
    def heads(self) -> int:
        """Heads of every attention."""
        return self.width // _HEAD_WIDTH


def decoder_weights(path: Path, vocabulary: int) -> DecoderWeights:
    """The decoder in ``path``, its vocabulary cut to the first ``vocabulary`` tokens.

    Raises CheckpointError.
    """
    return DecoderWeights(read_variables(path, "decoder/"), vocabulary)
