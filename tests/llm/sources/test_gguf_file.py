"""GGUF files, read without the `gguf` package and compared with it."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, dequantize

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.sources.gguf_blocks import FORMATS
from duplex_agent.llm.sources.gguf_file import GgufFile

ROWS, COLUMNS = 3, 512


def random_rows(kind: GGMLQuantizationType) -> np.ndarray:
    """Every bit pattern is a tensor; only the halves and floats in it may be NaN."""
    block, size = GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(kind)
    return rng.integers(0, 256, (ROWS, COLUMNS // block * size), np.uint8)


def written(path: Path, tensors: dict[str, tuple[np.ndarray, GGMLQuantizationType]]) -> GgufFile:
    writer = GGUFWriter(path, "llama")
    writer.add_string("name", "naïve")
    writer.add_array("words", ["a", "", "日本"])
    writer.add_array("numbers", [1, -2, 3])
    for name, (rows, kind) in tensors.items():
        writer.add_tensor(name, rows, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufFile(path)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NaN scales among the bits
@pytest.mark.parametrize("kind", FORMATS, ids=[f.name for f in FORMATS.values()])
def test_every_format_gives_the_weights_of_the_gguf_package(kind: int, tmp_path: Path) -> None:
    quantization = GGMLQuantizationType(kind)
    assert FORMATS[kind].name == quantization.name
    block, size = GGML_QUANT_SIZES[quantization]
    assert (FORMATS[kind].weights, FORMATS[kind].layout.itemsize) == (block, size)
    rows = random_rows(quantization)
    # A tensor before it: the second begins where the alignment of the file says.
    file = written(
        tmp_path / "x.gguf", {"before": (rows[:1], quantization), "it": (rows, quantization)}
    )
    found = file.tensor("it")
    assert found.shape == (ROWS, COLUMNS)
    np.testing.assert_array_equal(found, dequantize(rows, quantization))


def test_settings_are_read_with_their_types(tmp_path: Path) -> None:
    file = written(
        tmp_path / "x.gguf", {"it": (np.ones((1, 32), np.float32), GGMLQuantizationType.F32)}
    )
    assert file.settings["name"] == "naïve"
    assert file.settings["words"] == ["a", "", "日本"]
    assert file.settings["numbers"] == [1, -2, 3]


def test_a_format_that_is_not_known_is_named(tmp_path: Path) -> None:
    kind = GGMLQuantizationType.IQ4_XS
    file = written(tmp_path / "x.gguf", {"it": (random_rows(kind), kind)})
    assert not file.is_readable
    with pytest.raises(ThinkerError, match=r"'it'.*format 23.*Q6_K"):
        file.tensor("it")
    with pytest.raises(ThinkerError, match="'other'"):
        file.tensor("other")


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    rows = np.ones((4, 32), np.float32)
    written(tmp_path / "x.gguf", {"it": (rows, GGMLQuantizationType.F32)})
    whole = (tmp_path / "x.gguf").read_bytes()
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(whole[:-64])
    with pytest.raises(ThinkerError, match="'it' is not whole"):
        GgufFile(torn).tensor("it")
    torn.write_bytes(whole[:90])
    with pytest.raises(ThinkerError, match="not a readable GGUF file"):
        GgufFile(torn)


def test_no_damaged_header_brings_the_reader_down(tmp_path: Path) -> None:
    kind = GGMLQuantizationType.Q8_0
    written(tmp_path / "x.gguf", {"it": (random_rows(kind), kind)})
    whole = (tmp_path / "x.gguf").read_bytes()
    header = len(whole) - random_rows(kind).size
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for place in rng.integers(0, header, 2):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "damaged.gguf").write_bytes(damaged)
        try:
            GgufFile(tmp_path / "damaged.gguf").tensor("it")
        except ThinkerError:
            refused += 1
    assert refused > 100
