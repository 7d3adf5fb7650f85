"""Parts of a transformer layer as ONNX nodes, which encoder and adapter share.

Weights are named as in the modules of ``reference``.
"""

import numpy as np

from duplex_agent.runtime.onnx_graph import Array, Graph, Weights


def linear(weights: Weights, name: str) -> tuple[Array, Array]:
    """Weight [out, in] and bias of a linear layer."""
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def norm(graph: Graph, weights: Weights, name: str, x: str, output: str = "") -> str:
    """The layer norm ``name`` of ``x``."""
    output = output or f"{name}.normed"
    gamma, beta = (
        graph.constant(f"{output}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")
    )
    return graph.layer_norm(x, gamma, beta, output)


def projected(graph: Graph, weights: Weights, name: str, normed: str, parts: str) -> list[str]:
    """Queries, keys or values of layer ``name``, ``parts`` of "qkv", of ``normed``."""
    weight, bias = linear(weights, f"{name}.qkv")
    matrices = dict(
        zip("qkv", zip(np.split(weight, 3), np.split(bias, 3), strict=True), strict=True)
    )
    return [graph.linear(f"{name}.{part}", normed, *matrices[part]) for part in parts]


def rest_of_layer(graph: Graph, weights: Weights, name: str, x: str, mixed: str) -> str:
    """``x`` plus what was attended to, ``mixed``, through the feed-forward part."""
    out = graph.linear(f"{name}.out", mixed, weights[f"{name}.out.weight"])
    late = graph.constant(f"{name}.out.bias", weights[f"{name}.out.bias"])
    gamma, beta = (
        graph.constant(f"{name}.norm2.{part}", weights[f"{name}.norm2.{part}"])
        for part in ("weight", "bias")
    )
    normed, total = f"{name}.norm2.normed", f"{name}.residual"
    graph.skip_layer_norm(x, out, late, gamma, beta, normed, total)
    wide = graph.linear(f"{name}.wide", normed, weights[f"{name}.up.weight"])
    up = graph.constant(f"{name}.up.bias", weights[f"{name}.up.bias"])
    gelu = graph.node("BiasGelu", [wide, up], [f"{name}.gelu"])
    narrow = graph.linear(f"{name}.narrow", gelu, *linear(weights, f"{name}.down"))
    return graph.node("Add", [total, narrow], [f"{name}.done"], "")
