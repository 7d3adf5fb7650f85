"""The rooms of the house: who may import whom, and how much may be committed."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each room may import those that stand after it, never one that stands before.
ORDER = ("cli", "gateway", "engine", "llm", "duplex", "model", "audio")
MAX_TREE_BYTES = 56 * 2**20


def imports(file: Path) -> Iterator[str]:
    """Absolute names of everything a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def all_imports(folder: str) -> list[tuple[Path, str]]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"no code under {folder}"
    return [(file.relative_to(ROOT), name) for file in files for name in imports(file)]


@pytest.mark.parametrize("room", ORDER[1:])
def test_arrows_point_one_way(room):
    above = ORDER[: ORDER.index(room)]
    wrong = [
        f"{file} imports {name}"
        for file, name in all_imports(f"duplex_agent/{room}")
        if name.split(".")[0] == "duplex_agent" and name.split(".")[1] in (*above, "train")
    ]
    assert wrong == []


def test_nothing_of_the_agent_imports_the_evals_and_kernels_stand_alone():
    wrong = [f for f, name in all_imports("duplex_agent") if name.startswith("duplex_evals")]
    wrong += [
        f
        for f, name in all_imports("kernels/duplex_kernels")
        if name.split(".")[0] in ("duplex_agent", "duplex_evals")
    ]
    assert wrong == []


def test_gpl_code_is_imported_by_training_only():
    gpl = ("piper", "parselmouth")
    users = {f for f, name in all_imports("duplex_agent") if name.split(".")[0] in gpl}
    assert all(file.parts[1] == "train" for file in users), users


def test_the_tracked_tree_stays_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert sum(file.stat().st_size for file in files if file.is_file()) <= MAX_TREE_BYTES
