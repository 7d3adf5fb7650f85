"""Reads GGUF files: settings, vocabulary and tensors, without transformers or torch.

Format: github.com/ggml-org/ggml, docs/gguf.md (version 2 and 3). Dequantisation of the many block
formats is the `gguf` package's; its own reader takes seconds per file where this one takes a tenth.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS |= {12: "d"}
_STRING, _ARRAY = 8, 9


class GgufFile:
    """An open GGUF file; tensors are read from the mapping when asked for."""

    def __init__(self, path: Path) -> None:
        """Read the header of `path`; ThinkerError if it is no GGUF file or ends too early."""
        self._path = path
        try:
            with path.open("rb") as stream:
                self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._at = 0
            self._read_header()
        except (
            OSError,
            struct.error,
            IndexError,
            ValueError,
            KeyError,
            UnicodeDecodeError,
        ) as error:
            raise ThinkerError(f"{path} is not a readable GGUF file: {error}") from error

    def _read_header(self) -> None:
        magic, version, tensors, settings = self._unpack("4sIQQ")
        if magic != _MAGIC or version not in (2, 3):
            raise ValueError(f"it begins with {magic!r} and version {version}")
        self.settings: dict[str, Any] = {}
        for _ in range(settings):
            name = self._string()
            self.settings[name] = self._value(self._unpack("I")[0])
        self._tensors: dict[str, tuple[tuple[int, ...], int, int]] = {}
        for _ in range(tensors):
            name = self._string()
            (axes,) = self._unpack("I")
            shape = self._unpack(f"{axes}Q")[::-1]  # GGUF counts the fastest axis first
            kind, offset = self._unpack("IQ")
            self._tensors[name] = (shape, kind, offset)
        alignment = self.settings.get("general.alignment", 32)
        self._data_start = -(-self._at // alignment) * alignment

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One tensor, dequantised to float32, in [out, in] order.

        Raises ThinkerError if the file lacks it or its format is unknown.
        """
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
        from gguf.quants import dequantize

        try:
            shape, kind, offset = self._tensors[name]
            quantization = GGMLQuantizationType(kind)
            block, block_bytes = GGML_QUANT_SIZES[quantization]
            row_bytes = shape[-1] // block * block_bytes
            raw = np.frombuffer(
                self._bytes,
                np.uint8,
                count=int(np.prod(shape[:-1])) * row_bytes,
                offset=self._data_start + offset,
            ).reshape(*shape[:-1], row_bytes)
            return np.asarray(dequantize(raw, quantization), np.float32).reshape(shape)
        except (KeyError, ValueError, NotImplementedError) as error:
            raise ThinkerError(f"{self._path}: cannot read tensor {name!r}: {error}") from error

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        values = struct.unpack_from(layout, self._bytes, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        start, self._at = self._at, self._at + length
        if self._at > len(self._bytes):
            raise ValueError("it ends inside its header")
        return self._bytes[start : self._at].decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            element, count = self._unpack("IQ")
            if element in _SCALARS:
                return list(self._unpack(f"{count}{_SCALARS[element]}"))
            return [self._value(element) for _ in range(count)]
        return self._unpack(_SCALARS[kind])[0]
