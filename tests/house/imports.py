"""Who imports whom in this repository, read from the source without running it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "duplex_agent": ROOT / "duplex_agent",
    "duplex_kernels": ROOT / "kernels/duplex_kernels",
    "duplex_evals": ROOT / "evals/duplex_evals",
    "duplex_baselines": ROOT / "evals/baselines/duplex_baselines",
}


def module_of(file: Path, package: str) -> str:
    parts = file.relative_to(PACKAGES[package]).with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def imported(file: Path) -> Iterator[str]:
    """Absolute names of everything a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(package: str) -> dict[str, Path]:
    """Module name -> file, of every module of a package."""
    found = {module_of(f, package): f for f in sorted(PACKAGES[package].rglob("*.py"))}
    assert found, f"no code in {package}"
    return found


@cache
def graph() -> dict[str, set[str]]:
    """Module -> the modules of this repository that it imports, at its top or in a function."""
    known = {name: file for package in PACKAGES for name, file in modules(package).items()}
    edges: dict[str, set[str]] = {}
    for name, file in known.items():
        named = (n if n in known else n.rpartition(".")[0] for n in imported(file))
        edges[name] = {target for target in named if target in known and target != name}
    return edges
