"""Writes the two ONNX graphs of the mouth.

The talker's ends in the flow head's modulations, which do not depend on the noisy token; the
head's gives a velocity and runs once per step. Entries and exits are small and stay float32; the
matrices between may be int8. One tick at a time, after any number of past ones.

Operators of ``com.microsoft``: ``MultiHeadAttention``, ``RotaryEmbedding``, ``MatMulNBits``,
``SkipSimplifiedLayerNormalization``, ``QuickGelu``.
"""

from typing import Final

import numpy as np
import onnx

from duplex_agent.runtime.checkpoint import under
from duplex_agent.runtime.onnx_graph import (
    EPSILON,
    Array,
    Graph,
    Shape,
    Weights,
    quantize_rows,
)
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.voice.config import FlowConfig, MouthConfig

_RMS_EPSILON: Final = 1e-6
_FOREVER: Final = np.array([np.iinfo(np.int64).max])


def talker_graph(config: MouthConfig, weights: Weights, precision: Precision) -> onnx.ModelProto:
    """``slots`` [B, 1, 12 * phones], ``previous`` [B, 1, 48], ``thinker`` [B, 1, 576], ``times``
    [steps, width], ``cos`` and ``sin`` [1, d / 2] of the tick, and the past keys and values ->
    ``modulations`` [B, steps, all of the head's], and the keys and values for the next tick.
    """
    graph = Graph("talker", precision, quantize_rows)
    graph.constant("first", np.array([0]))
    graph.constant("kept", np.array([1 - config.window]))
    graph.constant("forever", _FOREVER)
    graph.constant("over_time", np.array([2]))
    residual, delta = _enter(graph, weights), ""
    for index in range(config.layers):
        layer = f"layers.{index}"
        norm = weights[f"{layer}.attention_norm.weight"]
        residual, normed = _add_and_norm(graph, f"{layer}.before", residual, delta, norm)
        delta = _attention(graph, index, config.heads, weights, normed)
        norm = weights[f"{layer}.mlp_norm.weight"]
        residual, normed = _add_and_norm(graph, f"{layer}.middle", residual, delta, norm)
        delta = _feed_forward(graph, layer, weights, normed)
    _, talked = _add_and_norm(graph, "last", residual, delta, weights["norm.weight"])
    _modulate(graph, config.flow, weights, talked)
    width = config.width // config.heads
    past: dict[str, Shape] = {}
    for index in range(config.layers):
        for kind in ("key", "value"):
            past[f"{kind}.{index}"] = ["batch", config.heads, None, width]
    return graph.model(
        {
            "slots": ["batch", 1, None],
            "previous": ["batch", 1, None],
            "thinker": ["batch", 1, config.thinker_width],
            "times": ["steps", config.flow.width],
            "cos": [1, width // 2],
            "sin": [1, width // 2],
            **{f"past_{name}": shape for name, shape in past.items()},
        },
        {
            "modulations": ["batch", "steps", None],
            **{f"present_{name}": shape for name, shape in past.items()},
        },
    )


def head_graph(flow: FlowConfig, weights: Weights, precision: Precision) -> onnx.ModelProto:
    """``noisy`` [B, 48], ``modulation`` [B, all of one step] -> ``velocity`` [B, 48]."""
    weights = under(weights, "head.")
    graph = Graph("flow head", precision, quantize_rows)
    graph.constant("ones", np.ones(flow.width, np.float32))
    blocks = [f"blocks.{index}" for index in range(flow.blocks)]
    parts = [f"{block}.{part}" for block in blocks for part in ("shift", "scale", "gate")]
    parts += ["last.shift", "last.scale"]
    graph.node("Split", ["modulation"], parts, "", axis=-1, num_outputs=len(parts))
    x = graph.exact_linear("entered", "noisy", weights["enter.weight"], weights["enter.bias"])
    for block in blocks:
        y = _modulated(graph, block, x)
        y = _silu(graph, _linear(graph, f"{block}.up", y, weights))
        y = _linear(graph, f"{block}.down", y, weights)
        y = graph.node("Mul", [f"{block}.gate", y], [f"{block}.gated"], "")
        x = graph.node("Add", [x, y], [f"{block}.out"], "")
    x = _modulated(graph, "last", x)
    graph.exact_linear("velocity", x, weights["out.weight"], weights["out.bias"])
    return graph.model(
        {"noisy": ["batch", None], "modulation": ["batch", len(parts) * flow.width]},
        {"velocity": ["batch", None]},
    )


def _enter(graph: Graph, weights: Weights) -> str:
    """The talker's first residual. Both layers that the slots pass are one product."""
    phones, enter = weights["phones.weight"], weights["enter_phones.weight"]
    slots = enter.reshape(len(enter), -1, len(phones)) @ phones
    bias = weights["enter_phones.bias"] + weights["enter_latent.bias"]
    x = graph.exact_linear("entered.slots", "slots", slots.reshape(len(enter), -1), bias)
    y = graph.exact_linear("entered.previous", "previous", weights["enter_latent.weight"])
    norm = weights["thinker_norm.weight"]
    _, normed = _add_and_norm(graph, "entered.state", "thinker", "", norm)
    z = _linear(graph, "enter_thinker", normed, weights)
    return graph.node("Sum", [x, y, z], ["entered"], "")


def _attention(graph: Graph, index: int, heads: int, weights: Weights, normed: str) -> str:
    layer = f"layers.{index}"
    both = _linear(graph, f"{layer}.qkv", normed, weights)
    width = weights[f"{layer}.out.weight"].shape[1]
    sizes = graph.constant(f"{layer}.sizes", np.array([2 * width, width]))
    q_k, q, k, v = (f"{layer}.{part}" for part in ("q_k", "q", "k", "v"))
    graph.node("Split", [both, sizes], [q_k, v], "", axis=-1)
    place = [q_k, "first", "cos", "sin"]
    turned = graph.node("RotaryEmbedding", place, [f"{layer}.turned"], num_heads=2 * heads)
    graph.node("Split", [turned], [q, k], "", axis=-1, num_outputs=2)
    inputs = [q, k, v, "", "", "", f"past_key.{index}", f"past_value.{index}"]
    grown = [f"{layer}.keys", f"{layer}.values"]
    mixed = f"{layer}.mixed"
    graph.node("MultiHeadAttention", inputs, [mixed, *grown], num_heads=heads)
    for kind, memory in zip(("key", "value"), grown, strict=True):
        recent = [memory, "kept", "forever", "over_time"]
        graph.node("Slice", recent, [f"present_{kind}.{index}"], "")
    return _linear(graph, f"{layer}.out", mixed, weights)


def _feed_forward(graph: Graph, layer: str, weights: Weights, normed: str) -> str:
    gate, up = f"{layer}.gate", f"{layer}.up"
    both = _linear(graph, f"{layer}.gate_up", normed, weights)
    graph.node("Split", [both], [gate, up], "", axis=-1, num_outputs=2)
    product = graph.node("Mul", [_silu(graph, gate), up], [f"{layer}.product"], "")
    return _linear(graph, f"{layer}.down", product, weights)


def _modulate(graph: Graph, flow: FlowConfig, weights: Weights, talked: str) -> None:
    """Everything that shifts, scales and gates in the head, one product for all."""
    condition = graph.node("Concat", [talked, "previous"], ["condition"], "", axis=-1)
    told = _linear(graph, "head.condition", condition, weights)
    mixed = graph.node("Add", [told, "times"], ["mixed"], "")
    parts = [f"head.blocks.{index}.modulation" for index in range(flow.blocks)]
    parts.append("head.last_modulation")
    matrix, bias = (
        np.concatenate([weights[f"{part}.{kind}"] for part in parts]) for kind in ("weight", "bias")
    )
    # A scale multiplies by one more than the network says.
    pieces = bias.reshape(-1, flow.width)
    pieces[[*range(1, 3 * flow.blocks, 3), -1]] += 1
    graph.linear("modulations", _silu(graph, mixed), matrix, bias)


def _modulated(graph: Graph, name: str, x: str) -> str:
    normed = f"{name}.normed"
    graph.node("LayerNormalization", [x, "ones"], [normed], "", epsilon=EPSILON, axis=-1)
    scaled = graph.node("Mul", [normed, f"{name}.scale"], [f"{name}.scaled"], "")
    return graph.node("Add", [scaled, f"{name}.shift"], [f"{name}.shifted"], "")


def _linear(graph: Graph, part: str, x: str, weights: Weights) -> str:
    return graph.linear(part, x, weights[f"{part}.weight"], weights.get(f"{part}.bias"))


def _silu(graph: Graph, x: str) -> str:
    return graph.node("QuickGelu", [x], [f"{x}.silu"], alpha=1.0)


def _add_and_norm(
    graph: Graph, name: str, residual: str, delta: str, norm: Array
) -> tuple[str, str]:
    """Names of residual + delta (where there is one) and of its norm."""
    gain, normed = graph.constant(f"{name}.gain", norm), f"{name}.normed"
    if not delta:
        kind = "SimplifiedLayerNormalization"
        graph.node(kind, [residual, gain], [normed], "", epsilon=_RMS_EPSILON, axis=-1)
        return residual, normed
    kind, total = "SkipSimplifiedLayerNormalization", f"{name}.residual"
    graph.node(kind, [residual, delta, gain], [normed, "", "", total], epsilon=_RMS_EPSILON)
    return total, normed
