"""Results of single items by key, written as they are made: a run that was broken off goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duplex_evals.errors import ResultError

Row = dict[str, Any]


class ResultRows:
    """A file of JSON lines. Whatever an item's result depends on belongs into its key."""

    def __init__(self, path: Path) -> None:
        """Raises ResultError when the file cannot be read."""
        self._path = path
        self._rows: dict[str, Row] = {}
        if not path.exists():
            return
        try:
            whole, _, torn = path.read_text("utf-8").rpartition("\n")
            if torn:  # the run was killed while it wrote
                path.write_text(f"{whole}\n" if whole else "", "utf-8")
            for line in whole.splitlines():
                stored = json.loads(line)
                self._rows[stored.pop("key")] = stored
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            raise ResultError(f"{path} cannot be gone on with ({error!r}); delete it") from error

    def made(self, key: str, make: Callable[[], Row]) -> Row:
        """The row of ``key``, made and stored first where there is none.

        Raises ResultError when it cannot be stored.
        """
        if key in self._rows:
            return self._rows[key]
        row = self._rows[key] = make()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **row}) + "\n")
        except OSError as error:
            raise ResultError(f"cannot write {self._path}: {error.strerror or error}") from error
        return row
