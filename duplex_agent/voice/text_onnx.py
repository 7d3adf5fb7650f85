"""The speller and the timing model on ONNX Runtime, in float32: they decide, they do not sound."""

from typing import Final

import numpy as np
from onnx import TensorProto

from duplex_agent.runtime.onnx_graph import Graph
from duplex_agent.runtime.onnx_session import open_session, run
from duplex_agent.runtime.torch_checkpoint import parameters
from duplex_agent.voice.phones import PHONES, Phones, character_ids
from duplex_agent.voice.text_conv import LEFT, RIGHT
from duplex_agent.voice.timing import MEAN_LOG_S, Timing

_KINDS: Final = ("weight", "bias")


class OnnxPhones:
    """Spells as ``Phones`` does."""

    def __init__(self, phones: Phones) -> None:
        """Raises CheckpointError when ONNX Runtime cannot run the speller."""
        self.look_ahead, self.look_back = phones.look_ahead, phones.look_back
        graph, scores = _scores(phones)
        sizes = graph.constant("sizes", np.array([-1, len(PHONES) + 1]))
        slots = graph.node("Reshape", [scores, sizes], ["slots"], "")
        graph.node("ArgMax", [slots], ["best"], "", axis=-1, keepdims=0)
        ends = {"symbols": [1, "n"]}, {"best": ["slots"]}
        kinds = {"symbols": TensorProto.INT64, "best": TensorProto.INT64}
        self._session = open_session(graph.model(*ends, kinds))

    def best_slots(self, text: str) -> list[int]:
        """As ``Phones.best_slots``."""
        if not text:
            return []
        (found,) = run(self._session, {"symbols": np.array([character_ids(text)])})
        best: list[int] = found.tolist()
        return best


class OnnxTiming:
    """Gives durations as ``Timing`` does."""

    def __init__(self, timing: Timing) -> None:
        """Raises CheckpointError when ONNX Runtime cannot run the model."""
        self.look_ahead, self.look_back = timing.look_ahead, timing.look_back
        graph, scores = _scores(timing)
        mean = graph.constant("mean", np.array(MEAN_LOG_S, np.float32))
        log_s = graph.node("Add", [scores, mean], ["log_s"], "")
        graph.node("Exp", [log_s], ["seconds"], "")
        ends = {"symbols": [1, "n"]}, {"seconds": [1, "n", 1]}
        self._session = open_session(graph.model(*ends, {"symbols": TensorProto.INT64}))

    def seconds(self, phones: list[int]) -> list[float]:
        """As ``Timing.seconds``."""
        if not phones:
            return []
        (found,) = run(self._session, {"symbols": np.array([phones])})
        seconds: list[float] = found.flatten().tolist()
        return seconds


def _scores(module: Phones | Timing) -> tuple[Graph, str]:
    """A graph from ``symbols`` int64 [1, n], none of them padding, to what ``module.out`` says."""
    weights = parameters(module)
    graph = Graph("text", "fp32")

    def own(name: str) -> list[str]:
        return [graph.constant(f"{name}.{kind}", weights[f"{name}.{kind}"]) for kind in _KINDS]

    def norm(name: str, x: str) -> str:
        gamma, beta = own(name)
        return graph.layer_norm(x, gamma, beta, f"{name}.normed")

    table = graph.constant("table", weights["embedding.weight"])
    x = graph.node("Gather", [table, "symbols"], ["embedded"], "", axis=0)
    for index in range(module.config.layers):
        conv, mix = f"conv.convs.{index}", f"conv.mixes.{index}"
        y = norm(f"conv.norms.{index}", x)
        y = graph.node("Transpose", [y], [f"{conv}.turned"], "", perm=[0, 2, 1])
        y = graph.node("Conv", [y, *own(conv)], [conv], "", pads=[LEFT, RIGHT])
        y = graph.node("Transpose", [y], [f"{conv}.back"], "", perm=[0, 2, 1])
        y = graph.node("Gelu", [y], [f"{conv}.gelu"])
        y = graph.linear(mix, y, weights[f"{mix}.weight"], weights[f"{mix}.bias"])
        x = graph.node("Add", [x, y], [f"{mix}.out"], "")
    return graph, graph.linear("out", norm("norm", x), weights["out.weight"], weights["out.bias"])
