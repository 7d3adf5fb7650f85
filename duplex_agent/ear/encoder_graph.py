"""Writes the ear's encoder for ONNX Runtime on the CPU: a graph of whole sentences, one of a tick.

In the tick's graph every layer takes four features in and gives four out. One with look-ahead gives
those that waited since the tick before; its input waits for the next. Keys and values of the ticks
that a layer may see are inputs, with the oldest tick left out and the newest added they are
outputs.

Operators: ``MultiHeadAttention``, ``SkipLayerNormalization``, ``BiasGelu`` and ``MatMulNBits`` of
ONNX Runtime's ``com.microsoft`` domain.
"""

import numpy as np
import onnx

from duplex_agent.audio.mel import MELS
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK
from duplex_agent.ear.encoder_weights import EncoderWeights
from duplex_agent.ear.layer_graph import linear, norm, projected, rest_of_layer
from duplex_agent.runtime.onnx_graph import Graph, Shape, Weights, quantize_rows
from duplex_agent.runtime.onnx_session import Precision


def full_context_graph(encoder: EncoderWeights, precision: Precision) -> onnx.ModelProto:
    """``mel`` [1, 80, 2 + 8 n] and ``positions`` [1, 4 n, width] -> ``features`` [1, 4 n, width].

    The first two frames come before the audio, as in the encoder's own pass.
    """
    weights, config = encoder.arrays, encoder.config
    graph = Graph("ear", precision, quantize_rows)
    silent = graph.constant("silent", np.zeros((1, config.width, 1), np.float32))
    _, x = _convolved(graph, weights, silent)
    for i in range(config.depth):
        name = f"layers.{i}"
        q, k, v = projected(graph, weights, name, norm(graph, weights, f"{name}.norm1", x), "qkv")
        mixed = graph.node(
            "MultiHeadAttention", [q, k, v], [f"{name}.mixed"], num_heads=config.heads
        )
        x = rest_of_layer(graph, weights, name, x, mixed)
    features = norm(graph, weights, "norm", x, "features")
    return graph.model(
        {"mel": [1, MELS, "frames"], "positions": [1, "n", config.width]},
        {features: [1, "n", config.width]},
    )


def tick_graph(
    encoder: EncoderWeights, look_ahead_ticks: int, precision: Precision
) -> onnx.ModelProto:
    """``mel`` [1, 80, 2 + 8], ``positions`` [1, 4, width] and what the last tick left behind ->
    ``features`` [1, 4, width], ``log_probs`` [1, 4, characters] and what the next tick needs.

    Left behind are ``conv`` [1, width, 1] and of every layer ``keys`` and ``values`` [1, seen,
    width], and ``waiting`` [1, 4, width] where it has look-ahead. ``hidden`` [1, 1, 4, seen + 4] is
    added to a layer's scores. Outputs are named as inputs with ``next_`` before.
    """
    weights, config = encoder.arrays, encoder.config
    graph = Graph("ear_tick", precision, quantize_rows)
    four, side = [1, FEATURES_PER_TICK, config.width], [1, "seen", config.width]
    inputs: dict[str, Shape] = {"mel": [1, MELS, "frames"], "positions": four}
    inputs["conv"] = [1, config.width, 1]
    outputs: dict[str, Shape] = {
        "features": four,
        "log_probs": [1, FEATURES_PER_TICK, "characters"],
    }
    outputs["next_conv"] = [1, config.width, 1]
    conv, x = _convolved(graph, weights, "conv")
    newest = graph.constant("newest", np.array([-1], np.int64))
    end = graph.constant("end", np.array([np.iinfo(np.int64).max], np.int64))
    oldest = graph.constant("oldest", np.array([FEATURES_PER_TICK], np.int64))
    axes = [graph.constant(f"axis{axis}", np.array([axis], np.int64)) for axis in (1, 2)]
    graph.node("Slice", [conv, newest, end, axes[1]], ["next_conv"], "")
    for i in range(config.depth):
        name = f"layers.{i}"
        normed = norm(graph, weights, f"{name}.norm1", x)
        if i < look_ahead_ticks:
            waiting = f"waiting.{i}"
            inputs[waiting] = outputs[f"next_{waiting}"] = four
            graph.node("Identity", [x], [f"next_{waiting}"], "")
            x = waiting
            asking = norm(graph, weights, f"{name}.norm1", x, f"{name}.asking")
            [q] = projected(graph, weights, name, asking, "q")
            k, v = projected(graph, weights, name, normed, "kv")
        else:
            q, k, v = projected(graph, weights, name, normed, "qkv")
        sides = []
        for kind, new in (("keys", k), ("values", v)):
            past = f"{kind}.{i}"
            inputs[past] = outputs[f"next_{past}"] = side
            both = graph.node("Concat", [past, new], [f"{name}.{kind}.all"], "", axis=1)
            sides.append(both)
            graph.node("Slice", [both, oldest, end, axes[0]], [f"next_{past}"], "")
        inputs[f"hidden.{i}"] = [1, 1, FEATURES_PER_TICK, "total"]
        mixed = graph.node(
            "MultiHeadAttention", [q, *sides, "", "", f"hidden.{i}"], [f"{name}.mixed"],
            num_heads=config.heads,
        )  # fmt: skip
        x = rest_of_layer(graph, weights, name, x, mixed)
    features = norm(graph, weights, "norm", x, "features")
    first = graph.exact_linear("first", features, *linear(weights, "characters.0"))
    graph.exact_linear(
        "character_logits",
        graph.node("Gelu", [first], ["first.gelu"]),
        *linear(weights, "characters.2"),
    )
    graph.node("LogSoftmax", ["character_logits"], ["log_probs"], "", axis=-1)
    return graph.model(inputs, outputs)


def _convolved(graph: Graph, weights: Weights, before: str) -> tuple[str, str]:
    """Whisper's two convolutions over time, with the positional embeddings added; ``before``: what
    the first one made of the frame before. Names of what the first one made, and of the features.
    """
    kernel = [graph.constant(name, weights[name]) for name in ("conv1.weight", "conv1.bias")]
    graph.node("Conv", ["mel", *kernel], ["conv1"], "")
    graph.node("Gelu", ["conv1"], ["conv1.gelu"])
    first = graph.node("Concat", [before, "conv1.gelu"], ["conv1.all"], "", axis=2)
    kernel = [graph.constant(name, weights[name]) for name in ("conv2.weight", "conv2.bias")]
    graph.node("Conv", [first, *kernel], ["conv2"], "", strides=[2])
    graph.node("Gelu", ["conv2"], ["conv2.gelu"])
    graph.node("Transpose", ["conv2.gelu"], ["convolved"], "", perm=[0, 2, 1])
    return first, graph.node("Add", ["convolved", "positions"], ["with_positions"], "")
