"""Keeps glibc from holding memory that only loading, or one large computation, needed.

Where the C library is another one, nothing happens.
"""

import ctypes
from typing import Any, Final

# Smaller thresholds give more back and cost more: with 256 KiB a tick takes 3 ms longer.
_TRIM_THRESHOLD: Final = -1, 1 << 20  # bytes free at the heap's end that go back
_MMAP_THRESHOLD: Final = -3, 1 << 20  # what is larger goes back when it is freed
_ARENA_MAX: Final = -8, 1


def keep_small() -> None:
    """Give memory back as soon as it is free, from now on; call it before anything is loaded."""
    libc = _glibc()
    if libc is not None:
        for option, value in (_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX):
            libc.mallopt(option, value)


def trim() -> None:
    """Give back what is free now."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Any:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
