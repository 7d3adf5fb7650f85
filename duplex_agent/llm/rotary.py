"""Rotary positions: the tables of a Llama-architecture model, and keys that change their position.

A cached key is rotated by its position. Rotations add up, so a key that moves by n positions is
rotated by n more (RoFormer, arXiv 2104.09864); nothing has to be recomputed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.llm.llama_spec import LlamaSpec

Floats = NDArray[np.float32]

WEIGHTS_FILE = "weights.bin"  # beside a graph; begins with the cosines, then the sines
ALIGNMENT = 4096  # lets ONNX Runtime map the tensors instead of reading them


def rotation_tables(spec: LlamaSpec) -> tuple[Floats, Floats]:
    """Cosine and sine of every position, each float32 [max_length, head_dim / 2]."""
    exponents = np.arange(0, spec.head_dim, 2, dtype=np.float32) / np.float32(spec.head_dim)
    inverse = 1.0 / np.power(np.float32(spec.rope.get("rope_theta", 10_000.0)), exponents)
    kind = spec.rope.get("rope_type")
    if kind == "linear":
        inverse = inverse / spec.rope["factor"]
    elif kind == "llama3":
        inverse = _llama3_frequencies(inverse, spec.rope)
    inverse = inverse.astype(np.float32)
    angles = np.arange(spec.max_length, dtype=np.float32)[:, None] * inverse[None, :]
    return np.cos(angles), np.sin(angles)


def stored_tables(folder: Path, positions: int, head_dim: int) -> tuple[Floats, Floats]:
    """The tables of a prepared graph, mapped from the file that it runs on."""
    shape = (positions, head_dim // 2)
    size = positions * (head_dim // 2) * 4
    second = size + -size % ALIGNMENT
    file = folder / WEIGHTS_FILE
    cos, sin = (np.memmap(file, np.float32, "r", offset, shape) for offset in (0, second))
    return np.asarray(cos), np.asarray(sin)


def moved(keys: Floats, by: int, cos: Floats, sin: Floats) -> Floats:
    """Rotated keys [..., head_dim] as they are ``by`` positions later (earlier if negative)."""
    half = keys.shape[-1] // 2
    first, second = keys[..., :half], keys[..., half:]
    c, s = cos[abs(by)], sin[by] if by >= 0 else -sin[-by]
    return np.concatenate([first * c - second * s, second * c + first * s], axis=-1)


def _llama3_frequencies(inverse: NDArray[Any], rope: dict[str, Any]) -> NDArray[Any]:
    """Llama 3.1's stretching: long wavelengths divided by the factor, short ones kept."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * inverse / (2 * np.pi)
    keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return keep * inverse + (1.0 - keep) * inverse / rope["factor"]
