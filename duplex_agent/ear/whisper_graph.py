"""Writes the two ONNX graphs of Whisper's decoder for ONNX Runtime on the CPU.

The cross-attention graph turns features into the keys and values that the decoder's layers attend
to. It runs once for every tick of audio. The decoder graph turns tokens into the logits of the next
ones. Past and present of its self-attention are buffers that the caller owns, as in the thinker's
graph; the keys and values of the audio are inputs that it never changes.

Operators: ``GroupQueryAttention``, ``MultiHeadAttention``, ``SkipLayerNormalization``,
``BiasGelu`` and ``MatMulNBits`` of ONNX Runtime's ``com.microsoft`` domain.
"""

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto

from duplex_agent.ear.whisper_weights import DecoderWeights
from duplex_agent.runtime.onnx_graph import Array, Graph
from duplex_agent.runtime.onnx_session import Precision

_NEVER: Final = np.float32(-1e4)


def cross_attention_graph(weights: DecoderWeights, precision: Precision) -> onnx.ModelProto:
    """``features`` [n, width] -> ``cross_attention`` [2 x layers, heads, n, head width]."""
    graph = Graph("whisper", precision)
    layers = range(weights.layers)
    matrices = [weights.layer(i, "attention/linear_1/weight") for i in layers]
    biases = [weights.layer(i, "attention/linear_1/bias") for i in layers]
    both = graph.linear("both", "features", np.concatenate(matrices), np.concatenate(biases))
    shape = [0, 2 * weights.layers, weights.heads, weights.head_width]
    split = graph.constant("shape", np.array(shape, np.int64))
    graph.node("Reshape", [both, split], ["split"], "")
    graph.node("Transpose", ["split"], ["cross_attention"], "", perm=[1, 2, 0, 3])
    return graph.model(
        {"features": ["n", weights.width]},
        {"cross_attention": [2 * weights.layers, weights.heads, "n", weights.head_width]},
    )


def decoder_graph(
    weights: DecoderWeights, suppressed: list[int], precision: Precision
) -> onnx.ModelProto:
    """``tokens`` [1, n, width] behind what is cached -> ``logits`` [1, answers, vocabulary].

    The tokens ``suppressed`` are never likely.
    """
    graph = Graph("whisper", precision)
    residual, delta, late_bias = "tokens", "", None
    for i in range(weights.layers):
        for part in ("self_attention", "attention", "ffn"):
            name = f"layer{i}.{part}"
            residual, normed = _norm(
                graph,
                name,
                residual,
                delta,
                late_bias,
                weights.layer(i, f"{part}/layer_norm/gamma"),
                weights.layer(i, f"{part}/layer_norm/beta"),
            )
            if part == "self_attention":
                delta, late_bias = _self_attention(graph, weights, i, normed)
            elif part == "attention":
                delta, late_bias = _cross_attention(graph, weights, i, normed)
            else:
                delta, late_bias = _feed_forward(graph, weights, i, normed)
    gamma, beta = weights["layer_norm/gamma"], weights["layer_norm/beta"]
    _, normed = _norm(graph, "final", residual, delta, late_bias, gamma, beta)
    forever = graph.constant("forever", np.array([np.iinfo(np.int64).max], np.int64))
    axis = graph.constant("axis", np.array([1], np.int64))
    graph.node("Slice", [normed, "first_answer", forever, axis], ["answers"], "")
    allowed = np.zeros(weights.vocabulary, np.float32)
    allowed[[i for i in suppressed if i < weights.vocabulary]] = _NEVER
    graph.linear("logits", "answers", weights.embedding, allowed)
    own: dict[str, list[Any]] = {}
    cross: dict[str, list[Any]] = {}
    for i in range(weights.layers):
        for kind in ("key", "value"):
            own[f"{kind}.{i}"] = [1, weights.heads, "longest", weights.head_width]
            cross[f"cross_{kind}.{i}"] = [1, weights.heads, "frames", weights.head_width]
    return graph.model(
        {
            "tokens": [1, "n", weights.width],
            "first_answer": [1],
            "last_position": [1],
            "total_length": [1],
            **cross,
            **{f"past_{name}": shape for name, shape in own.items()},
        },
        {
            "logits": [1, "answers", weights.vocabulary],
            **{f"present_{name}": shape for name, shape in own.items()},
        },
        {
            "first_answer": TensorProto.INT64,
            "last_position": TensorProto.INT32,
            "total_length": TensorProto.INT32,
        },
    )


def _self_attention(
    graph: Graph, weights: DecoderWeights, i: int, normed: str
) -> tuple[str, Array]:
    name = f"layer{i}.self"
    packed = graph.linear(
        f"{name}.packed",
        normed,
        weights.layer(i, "self_attention/linear_0/weight"),
        weights.layer(i, "self_attention/linear_0/bias"),
    )
    past = [f"past_key.{i}", f"past_value.{i}", "last_position", "total_length"]
    graph.node(
        "GroupQueryAttention",
        [packed, "", "", *past],
        [f"{name}.mixed", f"present_key.{i}", f"present_value.{i}"],
        num_heads=weights.heads,
        kv_num_heads=weights.heads,
        do_rotary=0,
    )
    out = weights.layer(i, "self_attention/linear_1/weight")
    delta = graph.linear(f"{name}.out", f"{name}.mixed", out)
    return delta, weights.layer(i, "self_attention/linear_1/bias")


def _cross_attention(
    graph: Graph, weights: DecoderWeights, i: int, normed: str
) -> tuple[str, Array]:
    name = f"layer{i}.cross"
    query = graph.linear(
        f"{name}.query",
        normed,
        weights.layer(i, "attention/linear_0/weight"),
        weights.layer(i, "attention/linear_0/bias"),
    )
    graph.node(
        "MultiHeadAttention",
        [query, f"cross_key.{i}", f"cross_value.{i}"],
        [f"{name}.mixed"],
        num_heads=weights.heads,
    )
    out = weights.layer(i, "attention/linear_2/weight")
    delta = graph.linear(f"{name}.out", f"{name}.mixed", out)
    return delta, weights.layer(i, "attention/linear_2/bias")


def _feed_forward(graph: Graph, weights: DecoderWeights, i: int, normed: str) -> tuple[str, Array]:
    name = f"layer{i}.ffn"
    wide = graph.linear(f"{name}.wide", normed, weights.layer(i, "ffn/linear_0/weight"))
    bias = graph.constant(f"{name}.bias", weights.layer(i, "ffn/linear_0/bias"))
    graph.node("BiasGelu", [wide, bias], [f"{name}.gelu"])
    delta = graph.linear(f"{name}.out", f"{name}.gelu", weights.layer(i, "ffn/linear_1/weight"))
    return delta, weights.layer(i, "ffn/linear_1/bias")


def _norm(
    graph: Graph,
    name: str,
    residual: str,
    delta: str,
    bias: Array | None,
    gamma: Array,
    beta: Array,
) -> tuple[str, str]:
    """Names of residual + delta + bias and of its layer norm; without ``bias``, of residual and of
    its layer norm.
    """
    scale = graph.constant(f"{name}.gamma", gamma)
    shift = graph.constant(f"{name}.beta", beta)
    normed, total = f"{name}.normed", f"{name}.residual"
    if bias is None:
        return residual, graph.layer_norm(residual, scale, shift, normed)
    late = graph.constant(f"{name}.late_bias", bias)
    graph.skip_layer_norm(residual, delta, late, scale, shift, normed, total)
    return total, normed
