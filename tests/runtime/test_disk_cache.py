from pathlib import Path

import pytest

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


@pytest.mark.parametrize("damage", ["change", "cut", "remove", "manifest"])
def test_damaged_folder_is_rebuilt(damage: str) -> None:
    folder = derived_folder("thing", lambda fresh: write("first", fresh))
    file = folder / "a.txt"
    if damage == "change":
        file.write_text("fIrst")
    elif damage == "cut":
        file.write_text("fir")
    elif damage == "remove":
        file.unlink()
    else:
        (folder / "manifest.json").write_text("[1")
    derived_folder("thing", lambda fresh: write("second", fresh))
    assert file.read_text() == "second"


def test_copied_cache_is_not_rebuilt() -> None:
    folder = derived_folder("thing", lambda fresh: write("first", fresh))
    file = folder / "a.txt"
    text = file.read_text()
    file.unlink()
    file.write_text(text)  # same bytes, another time
    derived_folder("thing", lambda fresh: write("second", fresh))
    assert file.read_text() == "first"


def test_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(blocked))
    with pytest.raises(AssetError, match="cannot write"):
        derived_folder("thing", lambda fresh: write("first", fresh))
