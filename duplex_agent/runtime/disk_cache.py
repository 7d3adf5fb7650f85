"""Folders of derived files in the assets cache: written whole or not at all, rebuilt if damaged.

A folder is written under a temporary name and renamed when complete, beside a manifest of sizes,
times and SHA-256 sums. A file whose size or time differs from the manifest is hashed again; if its
bytes differ too, the folder is thrown away and built anew.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from duplex_agent import assets
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
            _write_manifest(fresh)
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
        return all(_same(folder / name, *entry) for name, entry in manifest.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _same(file: Path, size: int, modified_ns: int, sha256: str) -> bool:
    status = file.stat()
    if status.st_size != size:
        return False
    return status.st_mtime_ns == modified_ns or assets.sha256_of(file) == sha256


def _write_manifest(folder: Path) -> None:
    entries = {
        file.name: (file.stat().st_size, file.stat().st_mtime_ns, assets.sha256_of(file))
        for file in sorted(folder.iterdir())
    }
    (folder / _MANIFEST).write_text(json.dumps(entries, indent=1))
