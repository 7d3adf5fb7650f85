"""Graphs made in memory, run by ONNX Runtime on one CPU thread, with tensors in and out."""

import onnx
import onnxruntime
import torch
from torch import Tensor

from duplex_agent.errors import CheckpointError


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Raises CheckpointError when ONNX Runtime cannot run the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The graphs are written in fused form; what remains for the optimizer only costs start time.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    stored = model.SerializeToString()
    try:
        return onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own classes, all direct Exceptions
        raise CheckpointError(f"ONNX Runtime cannot run these weights: {error}") from error


def run(session: onnxruntime.InferenceSession, inputs: dict[str, Tensor]) -> list[Tensor]:
    """All outputs in order."""
    found = session.run(None, {name: x.numpy() for name, x in inputs.items()})
    return [torch.from_numpy(x) for x in found]
