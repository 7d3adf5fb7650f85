"""Prints what the first `make serve` downloads: packages and pretrained parts, in MB.

Asks pip what it would install into an empty environment and the index how large each file is;
nothing is installed and no file is fetched. Exit code 1 if both together are above the limit.

    make download-size
"""

import json
import subprocess
import sys
import tomllib
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from duplex_agent.assets.table import ASSETS, Asset  # noqa: E402

LIMIT_MB: Final = 330
_EDITABLE: Final = "editables"  # what the build backend asks for besides, for `pip install -e`
_LARGE_MB: Final = 1.0

Sizes = dict[str, int]
"""Name -> bytes."""


def main(project: Path) -> int:
    """Print the tables for the pyproject.toml in ``project``; the exit code."""
    packages = package_sizes(project)
    for name, size in sorted(packages.items(), key=lambda item: -item[1]):
        if size >= _LARGE_MB * 1e6:
            print(f"{_mb(size)}  {name}")
    small = [size for size in packages.values() if size < _LARGE_MB * 1e6]
    print(f"{_mb(sum(small))}  {len(small)} packages below {_LARGE_MB:.0f} MB")
    needed = [asset for asset in ASSETS.values() if asset.use == "run"]
    parts = _with_hub(needed), _without_hub(needed)
    total = sum(packages.values()) + max(parts)
    print(f"{_mb(sum(packages.values()))}  packages")
    print(f"{_mb(parts[0])}  pretrained parts ({_mb(parts[1]).strip()} without the model hub)")
    print(f"{_mb(total)}  together at most; the limit is {LIMIT_MB} MB")
    return int(total > LIMIT_MB * 1e6)


def package_sizes(project: Path) -> Sizes:
    """What pip downloads to install the project into an empty environment, and to build it."""
    told = tomllib.loads((project / "pyproject.toml").read_text())
    build = [*told["build-system"]["requires"], _EDITABLE]
    constraints = [f"-c{file}" for file in project.glob("constraints.txt")]
    urls = _resolved([*constraints, *told["project"]["dependencies"]]) | _resolved(build)
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(urls, pool.map(_size, urls.values()), strict=True))


def _resolved(arguments: list[str]) -> dict[str, str]:
    """Package -> address of the file that pip would install."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["-qq", "--disable-pip-version-check", "--report", "-", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit("pip cannot say what it would install")
    items = json.loads(done.stdout)["install"]
    return {item["metadata"]["name"]: item["download_info"]["url"] for item in items}


def _size(url: str) -> int:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)).stat().st_size
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.headers["Content-Length"])
    except (OSError, TypeError) as error:
        name = Path(parts.path).name
        raise SystemExit(f"{parts.hostname} does not tell the size of {name}: {error}") from error


def _with_hub(needed: list[Asset]) -> int:
    return sum(a.size for a in needed if a.hub) + _without_hub([a for a in needed if not a.hub])


def _without_hub(needed: list[Asset]) -> int:
    wheels = {wheel.requirement: wheel.size for asset in needed for wheel in asset.wheels}
    return sum(wheels.values())


def _mb(size: int) -> str:
    return f"{size / 1e6:6.1f} MB"


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
