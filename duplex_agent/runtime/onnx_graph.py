"""Builds an ONNX graph node by node for ONNX Runtime on the CPU, with int8 products.

A product is ``MatMulNBits`` of ONNX Runtime's ``com.microsoft`` domain: weights are int8 with
scales along each row, inputs become int8 on the way, with a scale for every block of 32.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from duplex_agent.runtime.onnx_session import Precision

MICROSOFT: Final = "com.microsoft"
BLOCK: Final = 32
"""Weights that share a scale, as in the GGUF formats that models come in."""
EPSILON: Final = 1e-5
"""PyTorch's default of layer norms, which all networks here keep."""

_SMALLEST_APART: Final = 1024
"""Bytes of a constant from which on it is worth a place in a file of weights."""

Array = NDArray[np.float32]
Levels = tuple[NDArray[np.uint8], Array]
Weights = dict[str, Array]
Shape = list[Any]


def quantize_blocks(weight: Array) -> Levels:
    """Symmetric 8 bit per block of a row, in the layout of ``MatMulNBits``.

    float32 [out, in] -> (uint8 [out, blocks, 32] with 128 as zero, float32 scale [out, blocks]).
    """
    blocks = _blocks(weight)
    scales = np.maximum(np.abs(blocks).max(axis=2), np.float32(1e-12)) / np.float32(127)
    return _levels(blocks, scales)


def quantize_rows(weight: Array) -> Levels:
    """As ``quantize_blocks`` with one scale per row: of weights that were int8 with a scale per row
    before, as the shipped files hold them, it finds the very same levels.
    """
    blocks = _blocks(weight)
    scale = np.maximum(np.abs(weight).max(axis=1), np.float32(1e-12)) / np.float32(127)
    return _levels(blocks, np.repeat(scale[:, None], blocks.shape[1], axis=1))


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write ``model`` to ``path`` and its weights beside it, and take them out of ``model``.

    ONNX Runtime maps weights of their own file, and holds those inside of a model twice.
    """
    weights = path.with_suffix(".weights")
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=weights.name,
        size_threshold=_SMALLEST_APART,
    )
    weights.chmod(path.stat().st_mode)  # onnx lets nobody else read it


def _blocks(weight: Array) -> Array:
    short = -weight.shape[1] % BLOCK
    return np.pad(weight, ((0, 0), (0, short))).reshape(len(weight), -1, BLOCK)


def _levels(blocks: Array, scales: Array) -> Levels:
    return (np.rint(blocks / scales[..., None]) + 128).astype(np.uint8), scales


class Graph:
    """Nodes and constants on their way to a model. Whatever adds a node returns its output."""

    def __init__(
        self, name: str, precision: Precision,
        quantize: Callable[[Array], Levels] = quantize_blocks,
    ) -> None:  # fmt: skip
        self._name = name
        self._precision, self._quantize = precision, quantize
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, name: str, array: NDArray[Any]) -> str:
        self._constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        domain: str = MICROSOFT,
        **attributes: Any,
    ) -> str:
        made = helper.make_node(kind, inputs, outputs, outputs[0], domain=domain, **attributes)
        self._nodes.append(made)
        return outputs[0]

    def linear(self, name: str, x: str, weight: Array, bias: Array | None = None) -> str:
        """The product of ``x`` with ``weight`` [out, in], plus ``bias``; returns ``name``."""
        if self._precision == "fp32":
            return self.exact_linear(name, x, weight, bias)
        biases = [] if bias is None else [self.constant(f"{name}.bias", bias)]
        levels, scales = self._quantize(weight)
        stored = [self.constant(f"{name}.weight", levels), self.constant(f"{name}.scale", scales)]
        optional = ["", "", *biases] if biases else []
        return self.node(
            "MatMulNBits",
            [x, *stored, *optional],
            [name],
            K=weight.shape[1],
            N=weight.shape[0],
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,
        )

    def exact_linear(self, name: str, x: str, weight: Array, bias: Array | None = None) -> str:
        """As ``linear``, in float32 whatever the graph's precision."""
        biases = [] if bias is None else [self.constant(f"{name}.bias", bias)]
        product = f"{name}.product" if biases else name
        self.node("MatMul", [x, self.constant(f"{name}.weight", weight.T)], [product], "")
        if biases:
            self.node("Add", [product, *biases], [name], "")
        return name

    def layer_norm(self, x: str, gamma: str, beta: str, output: str) -> str:
        """The layer norm of ``x`` over its last axis; ``gamma`` and ``beta`` name constants."""
        inputs = [x, gamma, beta]
        return self.node("LayerNormalization", inputs, [output], "", epsilon=EPSILON, axis=-1)

    def skip_layer_norm(
        self, x: str, delta: str, bias: str, gamma: str, beta: str, output: str, total: str
    ) -> str:
        """The layer norm of x + delta + bias, which is given out as ``total`` as well."""
        inputs, outputs = [x, delta, gamma, beta, bias], [output, "", "", total]
        return self.node("SkipLayerNormalization", inputs, outputs, epsilon=EPSILON)

    def model(
        self,
        inputs: dict[str, Shape],
        outputs: dict[str, Shape],
        kinds: dict[str, int] | None = None,
    ) -> onnx.ModelProto:
        """The finished model; ``kinds`` names inputs and outputs that are not float32."""
        kinds = kinds or {}
        ends = [
            [
                helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
                for name, shape in side.items()
            ]
            for side in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, self._name, *ends, self._constants)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)
