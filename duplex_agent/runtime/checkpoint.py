"""Weight files: safetensors with optional int8 matrices, checked when they are opened.

A matrix saved as int8 becomes ``NAME`` (int8, [out, ...]) and ``NAME.scale`` (fp16, [out]): one
symmetric scale per output row. ``load`` gives float32 back, so networks never see the packing.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from duplex_agent.assets import sha256_of
from duplex_agent.errors import CheckpointError

Arrays = dict[str, NDArray[Any]]
WEIGHTS_DIR = Path(__file__).resolve().parents[1] / "weights"
_SCALE = ".scale"
_SMALLEST_PACKED = 4096
"""Numbers in a matrix below which packing saves nothing that matters."""


def save(path: Path, arrays: Arrays, metadata: dict[str, str], int8: bool) -> None:
    """Write ``arrays`` as float16, or matrices as int8 where ``int8``; raises CheckpointError.

    The file appears whole or not at all.
    """
    stored: Arrays = {}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{name} holds NaN or infinity; {path.name} was not written")
        if int8 and array.ndim >= 2 and array.size >= _SMALLEST_PACKED:
            stored[name], stored[name + _SCALE] = _pack(array)
        else:
            stored[name] = array.astype(np.float16) if _is_float(array) else array
    partial = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: np.asarray(v, order="C") for k, v in stored.items()}, partial, metadata)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error


def load(path: Path, prefixes: tuple[str, ...] = ("",)) -> tuple[Arrays, dict[str, str]]:
    """Read a weight file: arrays by name, floating-point ones as float32, and the metadata.

    Only names that begin with one of ``prefixes`` are read. Raises CheckpointError for a file that
    is missing or damaged, and for NaN or infinity in what is read.
    """
    raw, metadata = _read(path, prefixes)
    arrays: Arrays = {}
    for name, array in raw.items():
        if name.endswith(_SCALE):
            continue
        if array.dtype == np.int8:
            array = _unpack(path, name, array, raw)
        elif _is_float(array):
            array = array.astype(np.float32)
        if _is_float(array) and not np.isfinite(array).all():
            raise CheckpointError(f"weight file {path} holds NaN in {name}; fetch it again")
        arrays[name] = array
    return arrays, metadata


def under(arrays: Arrays, prefix: str) -> Arrays:
    """What stands under ``prefix``, by the rest of its names."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def check_shapes(what: str, arrays: Arrays, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError unless ``arrays`` are exactly those that ``shapes`` names."""
    for name in [*shapes, *arrays]:
        found = list(arrays[name].shape) if name in arrays else "nothing"
        wanted = list(shapes[name]) if name in shapes else "nothing"
        if found != wanted:
            raise CheckpointError(f"weights do not fit {what}: {name} is {found}, not {wanted}")


def weights_and_biases(weights: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of layers' weights by the layers' names, and of one bias for each of their outputs."""
    biases = {f"{name}.bias": shape[:1] for name, shape in weights.items()}
    return {f"{name}.weight": shape for name, shape in weights.items()} | biases


def fingerprint(path: Path) -> str:
    """16 hexadecimal digits of the file's SHA-256; CheckpointError if it cannot be read."""
    try:
        return sha256_of(path)[:16]
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _missing(path: Path) -> CheckpointError:
    return CheckpointError(f"weight file {path} is missing; reinstall, or train it again")


def _read(path: Path, prefixes: tuple[str, ...]) -> tuple[Arrays, dict[str, str]]:
    if not path.exists():
        raise _missing(path)
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(prefixes)]  # noqa: SIM118
            raw = {name: file.get_tensor(name) for name in names}
            return raw, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"weight file {path} is corrupt ({error}); fetch it again") from error


def _is_float(array: NDArray[Any]) -> bool:
    return np.issubdtype(array.dtype, np.floating)


def _pack(array: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    rows = array.astype(np.float32).reshape(len(array), -1)
    scale = (np.abs(rows).max(axis=1) / np.float32(127)).astype(np.float16)
    step = scale.astype(np.float32)[:, None]
    # Rows too small for a float16 scale are stored as zeros.
    levels = np.rint(np.divide(rows, step, out=np.zeros_like(rows), where=step > 0))
    return np.clip(levels, -127, 127).astype(np.int8).reshape(array.shape), scale


def _unpack(path: Path, name: str, levels: NDArray[Any], raw: Arrays) -> NDArray[np.float32]:
    scale = raw.get(name + _SCALE)
    if scale is None or scale.shape != levels.shape[:1]:
        raise CheckpointError(f"weight file {path} has no scales of {name}; fetch it again")
    rows = scale.astype(np.float32).reshape(-1, *[1] * (levels.ndim - 1))
    return levels.astype(np.float32) * rows
