"""The voice's ONNX graphs, written once from its weight files and kept in the assets cache."""

from pathlib import Path
from typing import Final

from duplex_agent.runtime.checkpoint import fingerprint
from duplex_agent.runtime.disk_cache import derived_folder
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.voice.config import CodecConfig, MouthConfig, PhonesConfig, TimingConfig
from duplex_agent.voice.weights import (
    CODEC_FILE,
    MOUTH_FILE,
    TEXT_FILE,
    load_codec_weights,
    load_mouth_weights,
    load_text_weights,
)

TALKER, HEAD, CODEC, SPELLER, TIMING = (
    f"{name}.onnx" for name in ("talker", "head", "codec", "speller", "timing")
)
# Raise it whenever graphs of an older version must not be used any more.
_VERSION: Final = 2


def prepared_graphs(weights: Path, precision: Precision) -> Path:
    """Folder of the graphs of the voice in folder ``weights``, written now if it is not cached.

    ``precision`` is that of products in mouth and codec. Raises CheckpointError for weights that
    are missing, damaged or of other sizes, AssetError when the cache cannot be written.
    """

    def build(folder: Path) -> None:
        _write(weights, precision, folder)

    files = (MOUTH_FILE, CODEC_FILE, TEXT_FILE)
    prints = "-".join(fingerprint(weights / file) for file in files)
    return derived_folder(f"voice-{prints}-{precision}-v{_VERSION}", build)


def _write(weights: Path, precision: Precision, folder: Path) -> None:
    # Only writing graphs needs the onnx package; a start with everything cached does not load it.
    from duplex_agent.runtime.onnx_graph import write_model
    from duplex_agent.voice.codec_graph import codec_graph
    from duplex_agent.voice.mouth_graph import head_graph, talker_graph
    from duplex_agent.voice.text_graph import speller_graph, timing_graph

    mouth_config, codec_config = MouthConfig(), CodecConfig()
    phones_config, timing_config = PhonesConfig(), TimingConfig()
    mouth, _ = load_mouth_weights(weights / MOUTH_FILE, mouth_config)
    write_model(talker_graph(mouth_config, mouth, precision), folder / TALKER)
    write_model(head_graph(mouth_config.flow, mouth, precision), folder / HEAD)
    codec = load_codec_weights(weights / CODEC_FILE, codec_config)
    write_model(codec_graph(codec_config, codec, precision), folder / CODEC)
    speller, timing = load_text_weights(weights / TEXT_FILE, phones_config, timing_config)
    write_model(speller_graph(phones_config, speller), folder / SPELLER)
    write_model(timing_graph(timing_config, timing), folder / TIMING)
