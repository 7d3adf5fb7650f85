"""Reads GGUF files: settings, vocabulary and tensors, with numpy alone.

Format: github.com/ggml-org/ggml, docs/gguf.md (version 2 and 3). The reader of the `gguf` package
takes seconds per file where this one takes a tenth.
"""

import math
import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.sources.gguf_blocks import FORMATS

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
            TypeError,
            ZeroDivisionError,
            RecursionError,
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

    @property
    def is_readable(self) -> bool:
        """Whether every tensor is of a format that `tensor` knows."""
        return all(kind in FORMATS for _, kind, _ in self._tensors.values())

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One tensor, dequantised to float32, in [out, in] order.

        Raises ThinkerError if the file lacks it, holds a part of it only, or stores it in a
        format that is not known.
        """
        try:
            shape, kind, offset = self._tensors[name]
        except KeyError:
            raise ThinkerError(f"{self._path} holds no tensor {name!r}") from None
        stored = FORMATS.get(kind)
        if stored is None:
            known = ", ".join(f.name for f in FORMATS.values())
            raise ThinkerError(
                f"{self._path}: tensor {name!r} is of format {kind}; known ones are {known}"
            )
        blocks, rest = divmod(math.prod(shape), stored.weights)
        size, start = blocks * stored.layout.itemsize, self._data_start + offset
        if rest or start + size > len(self._bytes):
            raise ThinkerError(f"{self._path}: tensor {name!r} is not whole")
        return stored.dequantize(np.frombuffer(self._bytes, np.uint8, size, start)).reshape(shape)

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
