"""The served form of PyTorch's modules, made in memory: what tests compare and speak with."""

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
    return OnnxMouth(config, mouth.sampling, weights, talker, head)


def served_codec(decoder: CodecDecoder, precision: Precision) -> OnnxCodec:
    graph = codec_graph(decoder.config, parameters(decoder), precision)
    return OnnxCodec(decoder.config, graph)


def served_phones(phones: Phones) -> OnnxPhones:
    return OnnxPhones(phones.config, speller_graph(phones.config, parameters(phones)))


def served_timing(timing: Timing) -> OnnxTiming:
    return OnnxTiming(timing.config, timing_graph(timing.config, parameters(timing)))
