"""A file that somebody asked for: it ends whole, or there is none."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from duplex_agent.errors import AudioError, reason


class OutputFile:
    """Opened at once, so that a wrong path costs no work; removed when something fails.

    Pipes and devices are written to as well, and stay. Raises AudioError with one line where the
    system refuses something.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._file = open(self.path, "wb")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise self._refused(error) from error

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def write(self, data: bytes) -> None:
        """Append; a full disk may show later, on ``flush`` or ``close``."""
        with self._removed_on_error():
            self._file.write(data)

    def flush(self) -> None:
        """Hand everything to the system."""
        with self._removed_on_error():
            self._file.flush()

    def write_start(self, data: bytes) -> None:
        """Write ``data`` over the first bytes, as the last thing; a pipe has none to go back to."""
        with self._removed_on_error():
            self._file.flush()
            if self._file.seekable():
                self._file.seek(0)
                self._file.write(data)

    def close(self) -> None:
        """Finish the file; it may be closed again."""
        with self._removed_on_error():
            self._file.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            if self.path.is_file():
                os.unlink(os.path.realpath(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    @contextlib.contextmanager
    def _removed_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.discard()
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> AudioError:
        return AudioError(f"cannot write {self.path}: {reason(error)}")
