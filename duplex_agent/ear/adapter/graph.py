"""Writes the neural adapter for ONNX Runtime on the CPU: one graph listens, one makes tokens.

They are two because half as many tokens are made as ticks are heard at 6.25 Hz, from the mean of
what was heard in two.
"""

import numpy as np
import onnx

from duplex_agent.ear.adapter.weights import AdapterWeights, Array
from duplex_agent.ear.layer_graph import linear, norm, projected, rest_of_layer
from duplex_agent.runtime.onnx_graph import Graph, Shape


def listening_graph(adapter: AdapterWeights) -> onnx.ModelProto:
    """``heard`` [1, 1, inputs] of one tick and what the last tick left behind -> ``said``
    [1, 1, width] and what the next tick needs.

    Left behind are of every layer ``keys`` and ``values`` [1, context, width]; outputs are named
    as inputs with ``next_`` before. ``unheard`` [1, 1, 1, context + 1] is added to the scores.
    """
    weights, config = adapter.arrays, adapter.config
    graph = Graph("adapter", "fp32")
    side: Shape = [1, config.context_ticks, config.width]
    inputs: dict[str, Shape] = {
        "heard": [1, 1, config.inputs],
        "unheard": [1, 1, 1, config.context_ticks + 1],
    }
    outputs: dict[str, Shape] = {"said": [1, 1, config.width]}
    second = graph.constant("second", np.array([1], np.int64))
    end = graph.constant("end", np.array([np.iinfo(np.int64).max], np.int64))
    x = graph.linear("entered", "heard", *linear(weights, "enter"))
    for i in range(config.depth):
        name = f"layers.{i}"
        q, k, v = projected(graph, weights, name, norm(graph, weights, f"{name}.norm1", x), "qkv")
        sides = []
        for kind, new in (("keys", k), ("values", v)):
            past = f"{kind}.{i}"
            inputs[past] = outputs[f"next_{past}"] = side
            sides.append(graph.node("Concat", [past, new], [f"{name}.{kind}.all"], "", axis=1))
            graph.node("Slice", [sides[-1], second, end, second], [f"next_{past}"], "")
        # ``near`` counts distances, the scores begin with the oldest tick.
        near = weights[f"{name}.near"][None, :, None, ::-1]
        positions = graph.constant(f"{name}.positions", near)
        bias = graph.node("Add", [positions, "unheard"], [f"{name}.bias"], "")
        mixed = graph.node(
            "MultiHeadAttention", [q, *sides, "", "", bias], [f"{name}.mixed"],
            num_heads=config.heads,
        )  # fmt: skip
        x = rest_of_layer(graph, weights, name, x, mixed)
    norm(graph, weights, "norm", x, "said")
    return graph.model(inputs, outputs)


def token_graph(adapter: AdapterWeights) -> onnx.ModelProto:
    """``said`` [1, width] -> ``vector`` [1, thinker's width] and ``log_probs`` [1, 1 + ids]."""
    weights, rows, config = adapter.arrays, adapter.rows, adapter.config
    graph = Graph("adapter_token", "fp32")
    query = graph.linear("query", "said", *linear(weights, "query"))
    likeness = graph.linear(
        "likeness", query, np.exp(weights["log_scale"]) * _directions(rows), weights["often"]
    )
    blank = graph.linear("blank", "said", *linear(weights, "blank"))
    graph.node("Concat", [blank, likeness], ["scores"], "", axis=-1)
    graph.node("LogSoftmax", ["scores"], ["log_probs"], "", axis=-1)
    graph.node("Exp", ["log_probs"], ["probs"], "")
    vectors = np.concatenate([weights["blank_vector"][None], rows])
    spoken = graph.linear("spoken", "probs", vectors.T)
    rest = graph.linear("rest", "said", *linear(weights, "rest"))
    graph.node("Add", [spoken, rest], ["vector"], "")
    return graph.model(
        {"said": [1, config.width]},
        {"vector": [1, rows.shape[1]], "log_probs": [1, 1 + len(rows)]},
    )


def _directions(rows: Array) -> Array:
    """Unit vectors from the rows' centre to each of them."""
    away = rows - rows.mean(0)
    directions: Array = away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
    return directions
