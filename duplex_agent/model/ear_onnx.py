"""Writes the graph of an encoder that hears a whole sound at once, for ONNX Runtime on the CPU.

Operators: ``MultiHeadAttention``, ``SkipLayerNormalization``, ``BiasGelu`` and ``MatMulNBits`` of
ONNX Runtime's ``com.microsoft`` domain.
"""

from typing import Final

import numpy as np
import onnx

from duplex_agent.audio.mel import MELS
from duplex_agent.model.ear import EarConfig, EarEncoder
from duplex_agent.model.llama_spec import Precision
from duplex_agent.model.onnx_graph import Graph, Weights, parameters, quantize_rows

_EPSILON: Final = 1e-5


def whole_sound_graph(encoder: EarEncoder, precision: Precision) -> onnx.ModelProto:
    """``mel`` [1, 80, 2 + 8 n] and ``places`` [1, 4 n, width] -> ``features`` [1, 4 n, width].

    The first two frames come before the sound, as in the encoder's own pass.
    """
    weights, config = parameters(encoder), encoder.config
    graph = Graph("ear", precision, quantize_rows)
    residual, delta = _convolved(graph, weights, config.width), "places"
    bias = np.zeros(config.width, np.float32)
    for i in range(config.depth):
        name = f"layers.{i}"
        residual, normed = _skip_norm(graph, weights, f"{name}.norm1", residual, delta, bias)
        mixed = _attention(graph, weights, config, name, normed)
        delta = graph.linear(f"{name}.mixed_out", mixed, weights[f"{name}.out.weight"])
        residual, normed = _skip_norm(
            graph, weights, f"{name}.norm2", residual, delta, weights[f"{name}.out.bias"]
        )
        wide = graph.linear(f"{name}.wide", normed, weights[f"{name}.up.weight"])
        up_bias = graph.constant(f"{name}.up.bias", weights[f"{name}.up.bias"])
        gelu = graph.node("BiasGelu", [wide, up_bias], [f"{name}.gelu"])
        delta = graph.linear(f"{name}.narrow", gelu, weights[f"{name}.down.weight"])
        bias = weights[f"{name}.down.bias"]
    _, features = _skip_norm(graph, weights, "norm", residual, delta, bias, "features")
    return graph.model(
        {"mel": [1, MELS, "frames"], "places": [1, "n", config.width]},
        {features: [1, "n", config.width]},
    )


def _convolved(graph: Graph, weights: Weights, width: int) -> str:
    """Whisper's two convolutions over time; nothing sounds before the first frame."""
    x = "mel"
    for name, stride in (("conv1", 1), ("conv2", 2)):
        if name == "conv2":
            silent = graph.constant("silent", np.zeros((1, width, 1), np.float32))
            x = graph.node("Concat", [silent, x], ["conv2.input"], "", axis=2)
        kernel = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"])
                  for part in ("weight", "bias")]  # fmt: skip
        x = graph.node("Conv", [x, *kernel], [name], "", strides=[stride])
        x = graph.node("Gelu", [x], [f"{name}.gelu"])
    return graph.node("Transpose", [x], ["convolved"], "", perm=[0, 2, 1])


def _attention(graph: Graph, weights: Weights, config: EarConfig, name: str, normed: str) -> str:
    packed = graph.linear(
        f"{name}.packed", normed, weights[f"{name}.qkv.weight"], weights[f"{name}.qkv.bias"]
    )
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    graph.node("Split", [packed], parts, "", axis=2, num_outputs=3)
    return graph.node("MultiHeadAttention", parts, [f"{name}.mixed"], num_heads=config.heads)


def _skip_norm(
    graph: Graph, weights: Weights, name: str, residual: str, delta: str,
    bias: np.ndarray, output: str = "",
) -> tuple[str, str]:  # fmt: skip
    """Names of residual + delta + bias and of its layer norm."""
    gamma = graph.constant(f"{name}.weight", weights[f"{name}.weight"])
    beta = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    late = graph.constant(f"{name}.late", bias)
    normed, total = output or f"{name}.normed", f"{name}.residual"
    graph.node(
        "SkipLayerNormalization", [residual, delta, gamma, beta, late], [normed, "", "", total],
        epsilon=_EPSILON,
    )  # fmt: skip
    return total, normed
