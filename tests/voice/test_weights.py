from pathlib import Path

import numpy as np
import pytest
from torch import nn

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint
from duplex_agent.voice.config import CodecConfig, MouthConfig, PhonesConfig, TimingConfig
from duplex_agent.voice.reference.codec import CodecDecoder
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.voice import load_voice
from duplex_agent.voice.weights import (
    Shapes,
    codec_shapes,
    mouth_shapes,
    speller_shapes,
    timing_shapes,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped weights, to be spoiled, and a cache of their own."""
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(tmp_path / "cache"))
    for name in ("mouth", "codec", "phones"):
        file = checkpoint.WEIGHTS_DIR / f"{name}.safetensors"
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def _rewrite(file: Path, change: dict[str, np.ndarray | None], **notes: str) -> None:
    """Replace the link to a weight file by a copy with some of its arrays changed or left out."""
    arrays, metadata = checkpoint.load(file)
    file.unlink()
    kept = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    checkpoint.save(file, kept, metadata | notes, int8=True)


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (Mouth(), mouth_shapes(MouthConfig())),
        (CodecDecoder(), codec_shapes(CodecConfig())),
        (Phones(), speller_shapes(PhonesConfig())),
        (Timing(), timing_shapes(TimingConfig())),
    ],
    ids=["mouth", "codec", "speller", "timing"],
)
def test_a_file_must_hold_what_pytorchs_module_saves(module: nn.Module, shapes: Shapes) -> None:
    assert shapes == {name: tuple(t.shape) for name, t in module.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("codec", "pitch.bias", "fit the codec: pitch.bias is nothing"),
        ("mouth", "layers.3.down.weight", "fit the mouth: layers.3.down.weight is nothing"),
        ("phones", "timing.out.bias", "fit the timing model: out.bias is nothing"),
    ],
)
def test_weights_without_a_part_are_refused(
    folder: Path, name: str, array: str, message: str
) -> None:
    _rewrite(folder / f"{name}.safetensors", {array: None})
    with pytest.raises(CheckpointError, match=message):
        load_voice(folder=folder)


def test_weights_of_other_sizes_are_refused(folder: Path) -> None:
    _rewrite(folder / "codec.safetensors", {"enter.weight": np.ones((8, 48), np.float32)})
    with pytest.raises(CheckpointError, match=r"enter.weight is \[8, 48\], not \[320, 48\]"):
        load_voice(folder=folder)


def test_a_mouth_that_cannot_be_served_is_refused(folder: Path) -> None:
    file = folder / "mouth.safetensors"
    _rewrite(file, {}, sampling="telepathy")
    with pytest.raises(CheckpointError, match="telepathy"):
        load_voice(folder=folder)
    _rewrite(file, {}, head="codes")
    with pytest.raises(CheckpointError, match="mouth of codes"):
        load_voice(folder=folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "phones.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"phones.safetensors is missing; reinstall"):
        load_voice(folder=folder)


def test_graphs_are_written_once_and_again_for_other_weights(folder: Path) -> None:
    def written() -> dict[Path, int]:
        graphs = (folder / "cache").rglob("*.onnx")
        return {graph: graph.stat().st_mtime_ns for graph in graphs}

    load_voice(folder=folder)
    first = written()
    load_voice(folder=folder)
    assert written() == first
    assert len(first) == 5
    _rewrite(folder / "codec.safetensors", {"pitch.bias": np.zeros(1, np.float32)})
    load_voice(folder=folder)
    assert len(written()) == 10
