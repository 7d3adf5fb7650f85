"""Writes the ONNX graphs of the speller and the timing model, in float32: they decide."""

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto

from duplex_agent.runtime.onnx_graph import Graph, Weights
from duplex_agent.voice.config import (
    MEAN_LOG_S,
    TEXT_LEFT,
    TEXT_RIGHT,
    PhonesConfig,
    TimingConfig,
)
from duplex_agent.voice.phones import PHONES

_KINDS: Final = ("weight", "bias")


def speller_graph(config: PhonesConfig, weights: Weights) -> onnx.ModelProto:
    """``symbols`` int64 [1, n], ids of characters -> ``best`` int64 [3 n], symbols of the slots."""
    graph, scores = _scores(config.layers, weights)
    sizes = graph.constant("sizes", np.array([-1, len(PHONES) + 1]))
    slots = graph.node("Reshape", [scores, sizes], ["slots"], "")
    graph.node("ArgMax", [slots], ["best"], "", axis=-1, keepdims=0)
    ends = {"symbols": [1, "n"]}, {"best": ["slots"]}
    return graph.model(*ends, {"symbols": TensorProto.INT64, "best": TensorProto.INT64})


def timing_graph(config: TimingConfig, weights: Weights) -> onnx.ModelProto:
    """``symbols`` int64 [1, n], ids of phones -> ``seconds`` [1, n, 1]."""
    graph, scores = _scores(config.layers, weights)
    mean = graph.constant("mean", np.array(MEAN_LOG_S, np.float32))
    log_s = graph.node("Add", [scores, mean], ["log_s"], "")
    graph.node("Exp", [log_s], ["seconds"], "")
    ends = {"symbols": [1, "n"]}, {"seconds": [1, "n", 1]}
    return graph.model(*ends, {"symbols": TensorProto.INT64})


def _scores(layers: int, weights: Weights) -> tuple[Graph, str]:
    """A graph from ``symbols``, none of them padding, to what the network's ``out`` says."""
    graph = Graph("text", "fp32")

    def own(name: str) -> list[str]:
        return [graph.constant(f"{name}.{kind}", weights[f"{name}.{kind}"]) for kind in _KINDS]

    def norm(name: str, x: str) -> str:
        gamma, beta = own(name)
        return graph.layer_norm(x, gamma, beta, f"{name}.normed")

    table = graph.constant("table", weights["embedding.weight"])
    x = graph.node("Gather", [table, "symbols"], ["embedded"], "", axis=0)
    for index in range(layers):
        conv, mix = f"conv.convs.{index}", f"conv.mixes.{index}"
        y = norm(f"conv.norms.{index}", x)
        y = graph.node("Transpose", [y], [f"{conv}.turned"], "", perm=[0, 2, 1])
        y = graph.node("Conv", [y, *own(conv)], [conv], "", pads=[TEXT_LEFT, TEXT_RIGHT])
        y = graph.node("Transpose", [y], [f"{conv}.back"], "", perm=[0, 2, 1])
        y = graph.node("Gelu", [y], [f"{conv}.gelu"])
        y = graph.linear(mix, y, weights[f"{mix}.weight"], weights[f"{mix}.bias"])
        x = graph.node("Add", [x, y], [f"{mix}.out"], "")
    return graph, graph.linear("out", norm("norm", x), weights["out.weight"], weights["out.bias"])
