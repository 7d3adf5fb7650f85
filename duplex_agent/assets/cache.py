"""Where the verified files of pretrained parts lie, and whether their bytes are the table's."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

from duplex_agent.assets.table import Asset
from duplex_agent.errors import AssetError

_READ_BYTES: Final = 1 << 20


def cache_dir() -> Path:
    """Folder of the verified files: ``DUPLEX_ASSETS_DIR`` or the user's cache folder.

    Raises AssetError where neither is set and the user has no home folder.
    """
    override = os.environ.get("DUPLEX_ASSETS_DIR")
    if override:
        return expanded(override)
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "duplex-agent"


def expanded(path: str) -> Path:
    """``path`` with ``~`` as the home folder. Raises AssetError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise AssetError(
            f"{path}: that home folder is not known; set HOME, or DUPLEX_ASSETS_DIR to a folder"
            " for the pretrained parts"
        ) from error


def present(asset: Asset) -> Path | None:
    """The part's local file if it is there and right, None if it is absent.

    Raises AssetError if a file is there with other bytes than the table's: it was put there or
    damaged by someone else, so it is named rather than overwritten.
    """
    variable = "DUPLEX_ASSET_" + "".join(c if c.isalnum() else "_" for c in asset.name).upper()
    explicit = os.environ.get(variable)
    local = expanded(explicit) if explicit else cache_dir() / asset.file
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


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def stamp(file: Path) -> tuple[int, int, int]:
    """Size and times (ns) of modification and of change: another where the bytes are others.

    The time of change is the file system's own; that of modification anybody can set back.
    """
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


# Hashing 100 MB takes a third of a second, at every start of every process. A note beside the file
# (hash and stamp) makes that once per file instead.
def _note(local: Path) -> Path:
    return local.with_name(local.name + ".verified")


def _mark(local: Path, asset: Asset) -> bytes:
    return " ".join([asset.sha256, *map(str, stamp(local))]).encode() + b"\n"


def _verified_before(local: Path, asset: Asset) -> bool:
    try:
        return _note(local).read_bytes() == _mark(local, asset)
    except OSError:
        return False


def _remember_verified(local: Path, asset: Asset) -> None:
    with contextlib.suppress(OSError):  # read-only cache folder: hashed again next time
        _note(local).write_bytes(_mark(local, asset))
