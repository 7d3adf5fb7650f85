"""The number formats of GGUF tensors, turned into float32.

A row of a tensor is cut into blocks of 32 or 256 weights. A block holds the weights as small whole
numbers and what scales them: ``scale * q``, or ``scale * q + least`` with the least weight of the
block. Layouts: ggml-common.h of github.com/ggml-org/ggml.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Blocks = NDArray[Any]  # [blocks] of a structured dtype

_SLAB: Final = 1 << 14
"""Blocks that are decoded at once: few enough for the working arrays to stay in the CPU's cache."""


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """How ``weights`` consecutive weights are stored; ``decode`` gives them [blocks, weights]."""

    name: str
    weights: int
    layout: np.dtype[Any]
    decode: Callable[[Blocks], Floats]

    def dequantize(self, raw: NDArray[np.uint8]) -> Floats:
        """The weights of ``raw``, a whole number of blocks, as float32 [n]."""
        blocks = raw.view(self.layout)
        out = np.empty((len(blocks), self.weights), np.float32)
        for start in range(0, len(blocks), _SLAB):
            out[start : start + _SLAB] = self.decode(blocks[start : start + _SLAB])
        return out.reshape(-1)


def _column(halves: NDArray[Any]) -> Floats:
    return halves.astype(np.float32)[:, None]


def _fields(packed: NDArray[Any], groups: int, shifts: range, mask: int) -> NDArray[np.uint8]:
    """Bit fields of uint8 [blocks, bytes]: of every group of bytes first the fields at the first
    shift, then those at the next. uint8 [blocks, fields].
    """
    grouped = packed.reshape(len(packed), groups, 1, -1)
    shift = np.array(shifts, np.uint8)[:, None]
    return ((grouped >> shift) & np.uint8(mask)).reshape(len(packed), -1)


def _nibbles(packed: NDArray[Any], groups: int = 1) -> NDArray[np.uint8]:
    return _fields(packed, groups, range(0, 8, 4), 0x0F)


def _fifth_bits(packed: NDArray[Any]) -> NDArray[np.uint8]:
    """The highest bit of each of 32 weights, from uint8 [blocks, 4], in its place."""
    return np.unpackbits(packed, axis=1, bitorder="little") << np.uint8(4)


def _signed(levels: NDArray[np.uint8], zero: int) -> Floats:
    return (levels.astype(np.int8) - np.int8(zero)).astype(np.float32)


def _plain(blocks: Blocks) -> Floats:
    return blocks["weights"].astype(np.float32)


def _bf16(blocks: Blocks) -> Floats:
    return (blocks["weights"].astype(np.uint32) << 16).view(np.float32)


def _q4_0(blocks: Blocks) -> Floats:
    return _column(blocks["scale"]) * _signed(_nibbles(blocks["low"]), 8)


def _q4_1(blocks: Blocks) -> Floats:
    levels = _nibbles(blocks["low"]).astype(np.float32)
    return _column(blocks["scale"]) * levels + _column(blocks["least"])


def _q5_0(blocks: Blocks) -> Floats:
    levels = _nibbles(blocks["low"]) | _fifth_bits(blocks["high"])
    return _column(blocks["scale"]) * _signed(levels, 16)


def _q5_1(blocks: Blocks) -> Floats:
    levels = _nibbles(blocks["low"]) | _fifth_bits(blocks["high"])
    return _column(blocks["scale"]) * levels.astype(np.float32) + _column(blocks["least"])


def _q8_0(blocks: Blocks) -> Floats:
    return _column(blocks["scale"]) * blocks["levels"].astype(np.float32)


def _scaled_eighths(blocks: Blocks, levels: NDArray[np.uint8]) -> Floats:
    """Levels [blocks, 256] of eight sub-blocks, each with a scale and a least weight of six bits.

    The first four of either fill the low six bits of a byte; the last four have their low four
    bits in the last bytes and their high two above the first four.
    """
    packed = blocks["scales"].reshape(-1, 3, 4)
    first, second, low = packed[:, 0], packed[:, 1], packed[:, 2]
    scales = [first & 0x3F, (low & 0x0F) | ((first >> 2) & 0x30)]
    leasts = [second & 0x3F, (low >> 4) | ((second >> 2) & 0x30)]
    scale = _column(blocks["scale"]) * np.concatenate(scales, axis=1).astype(np.float32)
    least = _column(blocks["least"]) * np.concatenate(leasts, axis=1).astype(np.float32)
    eighths = levels.reshape(-1, 8, 32).astype(np.float32)
    return (scale[..., None] * eighths - least[..., None]).reshape(-1, 256)


def _q4_k(blocks: Blocks) -> Floats:
    return _scaled_eighths(blocks, _nibbles(blocks["low"], groups=4))


def _q5_k(blocks: Blocks) -> Floats:
    high = _fields(blocks["high"], 1, range(8), 0x01) << np.uint8(4)
    return _scaled_eighths(blocks, _nibbles(blocks["low"], groups=4) | high)


def _q6_k(blocks: Blocks) -> Floats:
    high = _fields(blocks["high"], 2, range(0, 8, 2), 0x03) << np.uint8(4)
    levels = _signed(_nibbles(blocks["low"], groups=2) | high, 32)
    scale = _column(blocks["scale"]) * blocks["scales"].astype(np.float32)
    return (scale[..., None] * levels.reshape(-1, 16, 16)).reshape(-1, 256)


_HALF: Final = "<f2"


def _format(
    name: str, weights: int, decode: Callable[[Blocks], Floats], *fields: tuple[Any, ...]
) -> BlockFormat:
    return BlockFormat(name, weights, np.dtype(list(fields)), decode)


# By the number that stands in the file (enum ggml_type).
FORMATS: Final[dict[int, BlockFormat]] = {
    0: _format("F32", 1, _plain, ("weights", "<f4", (1,))),
    1: _format("F16", 1, _plain, ("weights", _HALF, (1,))),
    2: _format("Q4_0", 32, _q4_0, ("scale", _HALF), ("low", "u1", 16)),
    3: _format("Q4_1", 32, _q4_1, ("scale", _HALF), ("least", _HALF), ("low", "u1", 16)),
    6: _format("Q5_0", 32, _q5_0, ("scale", _HALF), ("high", "u1", 4), ("low", "u1", 16)),
    7: _format(
        "Q5_1", 32, _q5_1,
        ("scale", _HALF), ("least", _HALF), ("high", "u1", 4), ("low", "u1", 16),
    ),
    8: _format("Q8_0", 32, _q8_0, ("scale", _HALF), ("levels", "i1", 32)),
    12: _format(
        "Q4_K", 256, _q4_k,
        ("scale", _HALF), ("least", _HALF), ("scales", "u1", 12), ("low", "u1", 128),
    ),
    13: _format(
        "Q5_K", 256, _q5_k,
        ("scale", _HALF), ("least", _HALF), ("scales", "u1", 12), ("high", "u1", 32),
        ("low", "u1", 128),
    ),
    14: _format(
        "Q6_K", 256, _q6_k,
        ("low", "u1", 128), ("high", "u1", 64), ("scales", "i1", 16), ("scale", _HALF),
    ),
    30: _format("BF16", 1, _bf16, ("weights", "<u2", (1,))),
}  # fmt: skip
