"""The served form of PyTorch's modules: what tests compare and speak with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from duplex_agent.runtime.onnx_graph import write_model
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.runtime.torch_checkpoint import parameters
from duplex_agent.voice.codec_graph import codec_graph
from duplex_agent.voice.codec_onnx import OnnxCodec
from duplex_agent.voice.mouth_graph import head_graph, talker_graph
from duplex_agent.voice.mouth_onnx import OnnxMouth
from duplex_agent.voice.reference.codec import CodecDecoder
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.text_graph import speller_graph, timing_graph
from duplex_agent.voice.text_onnx import OnnxPhones, OnnxTiming


def served_mouth(mouth: Mouth, precision: Precision) -> OnnxMouth:
    config, weights = mouth.config, parameters(mouth)
    talker = talker_graph(config, weights, precision)
    head = head_graph(config.flow, weights, precision)
    with _written(talker, head) as files:
        return OnnxMouth(config, mouth.sampling, weights, *files)


def served_codec(decoder: CodecDecoder, precision: Precision) -> OnnxCodec:
    with _written(codec_graph(decoder.config, parameters(decoder), precision)) as (file,):
        return OnnxCodec(decoder.config, file)


def served_phones(phones: Phones) -> OnnxPhones:
    with _written(speller_graph(phones.config, parameters(phones))) as (file,):
        return OnnxPhones(phones.config, file)


def served_timing(timing: Timing) -> OnnxTiming:
    with _written(timing_graph(timing.config, parameters(timing))) as (file,):
        return OnnxTiming(timing.config, file)


@contextmanager
def _written(*models: onnx.ModelProto) -> Iterator[list[Path]]:
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{index}.onnx" for index in range(len(models))]
        for model, file in zip(models, files, strict=True):
            write_model(model, file)
        yield files
