"""Folders of derived files in the assets cache: written whole or not at all, rebuilt if damaged.

A folder is written under a temporary name and renamed when complete, beside a manifest of sizes,
times and SHA-256 sums. A file whose size or times differ from the manifest is hashed again; if its
bytes differ too, the folder is thrown away and built again.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duplex_agent import assets
from duplex_agent.assets.cache import stamp
from duplex_agent.errors import AssetError

_MANIFEST = "manifest.json"


def derived_folder(key: str, build: Callable[[Path], None]) -> Path:
    """The folder `key` (a relative path) in the assets cache, made by `build(folder)` if needed.

    Raises AssetError if the cache folder cannot be written (full disk, no permission).
    """
    folder = assets.cache_dir() / "derived" / key
    if is_intact(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as temporary:
            fresh = Path(temporary) / "fresh"
            fresh.mkdir()
            build(fresh)
            files = sorted(fresh.iterdir())
            _write_manifest(fresh, {f.name: (stamp(f), assets.sha256_of(f)) for f in files})
            # Another process may have built the same meanwhile; then its copy is as good.
            if not is_intact(folder):
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(fresh, folder)
    except OSError as error:
        if is_intact(folder):
            return folder
        raise AssetError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def is_intact(folder: Path) -> bool:
    """Whether every file of the folder's manifest is there with the bytes it was written with."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        stamps = {name: list(stamp(folder / name)) for name in manifest}
        moved = [name for name, (known, _) in manifest.items() if stamps[name] != known]
        # Bytes of another number need no hash to be others.
        if any(stamps[name][0] != manifest[name][0][0] for name in moved):
            return False
        if any(assets.sha256_of(folder / name) != manifest[name][1] for name in moved):
            return False
    except (OSError, ValueError, TypeError, AttributeError, IndexError):
        return False
    if moved:  # copied from elsewhere: hashed once, not at every start
        entries = {name: (stamps[name], sha256) for name, (_, sha256) in manifest.items()}
        with contextlib.suppress(OSError):  # a read-only cache is hashed again
            _write_manifest(folder, entries)
    return True


def _write_manifest(folder: Path, entries: dict[str, Any]) -> None:
    """Put the manifest into place whole: another process may be reading it."""
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".manifest-", delete=False) as file:
        json.dump(entries, file, indent=1)
    os.replace(file.name, folder / _MANIFEST)
