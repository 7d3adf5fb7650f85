import os
from pathlib import Path

import pytest

from duplex_agent import assets
from duplex_agent.assets import sha256_of
from duplex_agent.errors import AssetError
from duplex_agent.runtime.disk_cache import derived_folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(tmp_path))


def write(text: str, folder: Path) -> None:
    (folder / "a.txt").write_text(text)


def test_folder_is_built_once(tmp_path: Path) -> None:
    folder = derived_folder("thing", lambda fresh: write("first", fresh))
    assert derived_folder("thing", lambda fresh: write("second", fresh)) == folder
    assert (folder / "a.txt").read_text() == "first"
    assert folder.is_relative_to(tmp_path)


def test_interrupted_build_leaves_nothing() -> None:
    def interrupted(fresh: Path) -> None:
        write("half", fresh)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derived_folder("thing", interrupted)
    folder = derived_folder("thing", lambda fresh: write("whole", fresh))
    assert (folder / "a.txt").read_text() == "whole"
    assert [entry.name for entry in folder.parent.iterdir()] == ["thing"]


@pytest.mark.parametrize("damage", ["change", "same time", "cut", "remove", "manifest"])
def test_damaged_folder_is_rebuilt(damage: str) -> None:
    folder = derived_folder("thing", lambda fresh: write("first", fresh))
    file = folder / "a.txt"
    if damage == "change":
        file.write_text("fIrst")
    elif damage == "same time":
        before = file.stat()
        file.write_text("fIrst")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif damage == "cut":
        file.write_text("fir")
    elif damage == "remove":
        file.unlink()
    else:
        (folder / "manifest.json").write_text("[1")
    derived_folder("thing", lambda fresh: write("second", fresh))
    assert file.read_text() == "second"


def test_copied_cache_is_hashed_once_and_not_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = derived_folder("thing", lambda fresh: write("first", fresh))
    file = folder / "a.txt"
    text = file.read_text()
    file.unlink()
    file.write_text(text)  # same bytes, another time
    hashed: list[Path] = []
    monkeypatch.setattr(assets, "sha256_of", lambda f: hashed.append(f) or sha256_of(f))
    for _ in range(2):
        derived_folder("thing", lambda fresh: write("second", fresh))
        assert file.read_text() == "first"
        assert hashed == [file]
    assert {entry.name for entry in folder.iterdir()} == {"a.txt", "manifest.json"}


def test_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(blocked))
    with pytest.raises(AssetError, match="cannot write"):
        derived_folder("thing", lambda fresh: write("first", fresh))
