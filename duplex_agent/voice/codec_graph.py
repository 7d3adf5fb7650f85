"""Writes the ONNX graph of the codec's network: tokens -> pitch and filters of their frames."""

import numpy as np
import onnx

from duplex_agent.runtime.onnx_graph import Graph, Weights, quantize_rows
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.voice.config import CODEC_KERNEL, LATENT_WIDTH, CodecConfig


def codec_graph(config: CodecConfig, weights: Weights, precision: Precision) -> onnx.ModelProto:
    """``latents`` [B, n, 48] and the blocks' ``tail.I`` [B, width, 6] -> ``log_pitch`` [B, 8 n, 1],
    ``filters`` [B, 8 n, 4 * 481] and ``next_tail.I``.
    """
    graph = Graph("codec", precision, quantize_rows)
    graph.constant("recent", np.array([1 - CODEC_KERNEL]))
    graph.constant("forever", np.array([np.iinfo(np.int64).max]))
    graph.constant("over_time", np.array([2]))
    x = graph.exact_linear("enter", "latents", weights["enter.weight"], weights["enter.bias"])
    blocks = config.token_blocks + config.frame_blocks
    for index in range(blocks):
        if index == config.token_blocks:
            expanded = graph.linear("expand", x, weights["expand.weight"], weights["expand.bias"])
            shape = graph.constant("frames", np.array([0, -1, config.width]))
            x = graph.node("Reshape", [expanded, shape], ["expanded"], "")
        x = _block(graph, index, weights, x)
    x = _layer_norm(graph, "norm", x, weights)
    # In float32: the hundredth harmonic multiplies an error of the pitch by a hundred.
    graph.exact_linear("log_pitch", x, weights["pitch.weight"], weights["pitch.bias"])
    graph.linear("filters", x, weights["head.weight"], weights["head.bias"])
    memory = ["batch", config.width, CODEC_KERNEL - 1]
    return graph.model(
        {
            "latents": ["batch", "tokens", LATENT_WIDTH],
            **{f"tail.{index}": memory for index in range(blocks)},
        },
        {
            "log_pitch": ["batch", "frames", 1],
            "filters": ["batch", "frames", None],
            **{f"next_tail.{index}": memory for index in range(blocks)},
        },
    )


def _block(graph: Graph, index: int, weights: Weights, x: str) -> str:
    name = f"blocks.{index}"
    turned = graph.node("Transpose", [x], [f"{name}.turned"], "", perm=[0, 2, 1])
    history = graph.node("Concat", [f"tail.{index}", turned], [f"{name}.history"], "", axis=2)
    recent = [history, "recent", "forever", "over_time"]
    graph.node("Slice", recent, [f"next_tail.{index}"], "")
    conv, up, down = (f"{name}.{part}" for part in ("conv", "up", "down"))
    kernel = graph.constant(f"{conv}.weight", weights[f"{conv}.weight"])
    bias = graph.constant(f"{conv}.bias", weights[f"{conv}.bias"])
    graph.node("Conv", [history, kernel, bias], [conv], "", group=len(weights[f"{conv}.bias"]))
    y = graph.node("Transpose", [conv], [f"{conv}.back"], "", perm=[0, 2, 1])
    y = _layer_norm(graph, f"{name}.norm", y, weights)
    y = graph.linear(up, y, weights[f"{up}.weight"], weights[f"{up}.bias"])
    y = graph.node("Gelu", [y], [f"{name}.gelu"])
    gain = weights[f"{name}.gain"]
    matrix, shift = weights[f"{down}.weight"] * gain[:, None], weights[f"{down}.bias"] * gain
    y = graph.linear(down, y, matrix, shift)
    return graph.node("Add", [x, y], [f"{name}.out"], "")


def _layer_norm(graph: Graph, name: str, x: str, weights: Weights) -> str:
    gamma, beta = (
        graph.constant(f"{name}.{k}", weights[f"{name}.{k}"]) for k in ("weight", "bias")
    )
    return graph.layer_norm(x, gamma, beta, f"{name}.normed")
