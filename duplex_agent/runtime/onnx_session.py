"""Graphs in memory or on disk, run by ONNX Runtime on one CPU thread."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import onnxruntime
from numpy.typing import NDArray

from duplex_agent.errors import CheckpointError

if TYPE_CHECKING:
    import onnx

Model: TypeAlias = "onnx.ModelProto | Path"
Precision = Literal["fp32", "int8"]
"""Of the weights of products."""


def open_session(graph: Model) -> onnxruntime.InferenceSession:
    """Raises CheckpointError when ONNX Runtime cannot run ``graph``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The graphs are written in fused form; what remains for the optimizer only costs start time.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    # An arena keeps the largest scratch memory of every session for good.
    options.enable_cpu_mem_arena = False
    stored = str(graph) if isinstance(graph, Path) else graph.SerializeToString()
    try:
        return onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own classes, all direct Exceptions
        name = graph if isinstance(graph, Path) else "these weights"
        raise CheckpointError(f"ONNX Runtime cannot run {name}: {error}") from error


def run(
    session: onnxruntime.InferenceSession, inputs: dict[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    """All outputs in order."""
    found: list[NDArray[Any]] = session.run(None, inputs)
    return found
