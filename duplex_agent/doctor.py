"""What the agent needs and what of it is here: machine, libraries, pretrained parts, weights."""

import json
import os
import platform
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from duplex_agent import assets
from duplex_agent.errors import AssetError
from duplex_agent.printable import printable
from duplex_agent.terminal import Console

WEIGHTS_DIR: Final = Path(__file__).resolve().parent / "weights"
NEEDED_WEIGHTS: Final = ("ear", "thinker-style", "phones", "mouth", "codec")
OPTIONAL_WEIGHTS: Final = ("adapter",)
_LIBRARIES: Final = ("onnxruntime", "tokenizers", "aiortc")
_TRAINING_LIBRARIES: Final = ("torch", "transformers")
_CPU_FLAGS: Final = ("avx2", "avx512_vnni", "amx_bf16", "asimd")

Cell = str | Text
Row = tuple[Cell, Cell, Cell]
_ABSENT: Final = "not fetched"


def examine(everything: bool, fetch: bool) -> bool:
    """Print the tables, fetch what is missing if ``fetch``; True if the agent can run.

    ``everything``: the parts of training and evals too. A part that cannot be fetched is one line
    in the table, not an exception.
    """
    console = Console()
    _print(console, "machine", ("what", "found", ""), list(_machine()))
    parts_ok = _pretrained(console, everything, fetch)
    weights_ok = _weights(console)
    if parts_ok and weights_ok:
        console.print("Everything the agent needs is here.")
    else:
        console.print("The agent cannot run yet: see the lines in red.")
    return parts_ok and weights_ok


def _print(console: Console, title: str, heads: tuple[str, ...], rows: list[Row]) -> None:
    table = Table(title=title, title_justify="left", show_header=any(heads))
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _machine() -> Iterator[Row]:
    yield "python", platform.python_version(), ""
    for library in _LIBRARIES:
        try:
            yield library, metadata.version(library), ""
        except metadata.PackageNotFoundError:
            yield library, _red("not installed"), "make setup"
    for library in _TRAINING_LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            yield library, metadata.version(library), "for training"
    yield "processor", f"{os.cpu_count()} cores", " ".join(_cpu_flags()) or "no known extension"
    yield "GPU", _gpu() or "none", ""


def _cpu_flags() -> list[str]:
    info = Path("/proc/cpuinfo")
    words = set(info.read_text().split()) if info.exists() else set()
    return [flag for flag in _CPU_FLAGS if flag in words]


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _pretrained(console: Console, everything: bool, fetch: bool) -> bool:
    fine = True
    rows: list[Row] = []
    for asset in assets.ASSETS.values():
        wanted = everything or asset.use == "run"
        try:
            if fetch and wanted:
                assets.path(asset.name)
            local = assets.present(asset)
            # The table is the place for the slow look: read every byte again.
            right = local is not None and assets.sha256_of(local) == asset.sha256
            state = "here" if right else "damaged" if local else _ABSENT
        except AssetError as error:
            right, state = False, str(error)
        fine = fine and (right or not wanted)
        harmless = right or (state == _ABSENT and not wanted)
        shown = state if harmless else _red(state)
        rows.append((asset.name, f"{_size(asset.size)}, {asset.licence}, {asset.use}", shown))
    _print(console, f"pretrained parts in {assets.cache_dir()}", ("part", "", "state"), rows)
    return fine


def _weights(console: Console) -> bool:
    fine = True
    rows: list[Row] = []
    for name in (*NEEDED_WEIGHTS, *OPTIONAL_WEIGHTS):
        file = WEIGHTS_DIR / f"{name}.safetensors"
        try:
            about = ", ".join(f"{k} {v}" for k, v in _safetensors_metadata(file).items())
            rows.append((name, _size(file.stat().st_size), about or "here"))
        except FileNotFoundError:
            missing = f"missing: duplex-agent train {name}"
            needed = name in NEEDED_WEIGHTS
            fine = fine and not needed
            rows.append((name, "", _red(missing) if needed else missing))
        except (OSError, ValueError) as error:
            fine = False
            rows.append((name, "", _red(f"unreadable: {error}")))
    _print(console, f"trained weights in {WEIGHTS_DIR}", ("network", "", "state"), rows)
    return fine


def _red(text: str) -> Text:
    return Text(printable(text), style="red")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _safetensors_metadata(file: Path) -> dict[str, str]:
    """The metadata of a safetensors file, read without torch. ValueError if it is not one."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8).ljust(8, b"\0"))
        if not 2 <= length <= file.stat().st_size - 8:
            raise ValueError("not a safetensors file")
        header = json.loads(stream.read(length))
    return header.get("__metadata__", {}) or {}
