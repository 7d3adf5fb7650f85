"""Writes the ONNX graph of a Llama-architecture language model for ONNX Runtime on the CPU.

The graph takes embeddings instead of token ids, keeps the key-value cache in buffers that the
caller owns (past and present are the same memory, so a step copies nothing), rotates inside the
attention operator, and gives the logits of the last position only plus the residual stream after
the middle layer for every position. Weights go straight to an external data file, one tensor at
a time, so that writing needs no second copy of the model in memory.

Operators: `GroupQueryAttention`, `SkipSimplifiedLayerNormalization`, `MatMulNBits` and
`QuickGelu` of ONNX Runtime's `com.microsoft` domain (docs/ContribOperators.md of onnxruntime).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.llama_spec import LlamaSpec
from duplex_agent.llm.rotary import ALIGNMENT, WEIGHTS_FILE, rotation_tables
from duplex_agent.runtime.onnx_graph import BLOCK, MICROSOFT, quantize_blocks
from duplex_agent.runtime.onnx_session import Precision

Weights = Callable[[str], NDArray[np.float32] | None]

_PLACE = ("last_position", "total_length", "rotation.cos", "rotation.sin")
_NO_SINK = -1e30  # e to the power of it is zero in float32


def write_llama(
    spec: LlamaSpec,
    weights: Weights,
    folder: Path,
    precision: Precision,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write `model.onnx` and `weights.bin` into `folder` and return the path of the former.

    `weights` maps a Hugging Face parameter name to a float32 array ([out, in] for linears) or None
    where the model has no such parameter. `progress` is called with (layers done, layers).
    """
    with (folder / WEIGHTS_FILE).open("wb") as data:
        graph = _GraphWriter(spec, weights, precision, data)
        graph.write_body(progress)
    model = graph.model()
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


class _GraphWriter:
    def __init__(
        self, spec: LlamaSpec, weights: Weights, precision: Precision, data: BinaryIO
    ) -> None:
        self.spec = spec
        self.weights = weights
        self.precision = precision
        self.data = data
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def write_body(self, progress: Callable[[int, int], None]) -> None:
        spec = self.spec
        cos, sin = rotation_tables(spec)  # first in the file: rotary.stored_tables reads them there
        self._store("rotation.cos", cos)
        self._store("rotation.sin", sin)
        self._constant("no_sink", np.full(spec.heads, _NO_SINK, np.float32))
        residual = "inputs_embeds"
        normed = "layer0.normed"
        self._node(
            "SimplifiedLayerNormalization",
            [residual, self._parameter("model.layers.0.input_layernorm.weight")],
            [normed],
            domain="",
            epsilon=spec.norm_eps,
            axis=-1,
            stash_type=1,
        )
        for index in range(spec.layers):
            progress(index, spec.layers)
            delta = self._attention(index, normed)
            normed, residual = self._add_and_norm(
                f"layer{index}.mid",
                residual,
                delta,
                f"model.layers.{index}.post_attention_layernorm.weight",
            )
            delta = self._feed_forward(index, normed)
            if index == spec.layers - 1:
                break
            after = f"layer{index + 1}"
            normed, residual = self._add_and_norm(
                after,
                residual,
                delta,
                f"model.layers.{index + 1}.input_layernorm.weight",
                sum_name="hidden" if index + 1 == spec.middle_layer else f"{after}.residual",
            )
        self._head(residual, delta)
        progress(spec.layers, spec.layers)

    def _attention(self, index: int, normed: str) -> str:
        spec, prefix = self.spec, f"model.layers.{index}.self_attn"
        parts = [f"{prefix}.{which}_proj" for which in "qkv"]
        packed = self._linear(f"layer{index}.qkv", normed, parts)
        context = f"layer{index}.context"
        past = (f"past_key.{index}", f"past_value.{index}")
        # For a single position the operator's plain path reads the cached keys where they lie, its
        # other one copies them for each head. A sink selects the former, one without weight too.
        self._node(
            "GroupQueryAttention",
            [packed, "", "", *past, *_PLACE, "", "", "no_sink"],
            [context, f"present_key.{index}", f"present_value.{index}"],
            num_heads=spec.heads,
            kv_num_heads=spec.kv_heads,
            scale=1.0,  # stands in the queries' weights: see _given
            do_rotary=1,
            rotary_interleaved=0,
        )
        return self._linear(f"layer{index}.attended", context, [f"{prefix}.o_proj"])

    def _feed_forward(self, index: int, normed: str) -> str:
        prefix, name = f"model.layers.{index}.mlp", f"layer{index}.mlp"
        both = self._linear(f"{name}.both", normed, [f"{prefix}.gate_proj", f"{prefix}.up_proj"])
        self._node("Split", [both], [f"{name}.gate", f"{name}.up"], "", axis=-1, num_outputs=2)
        # QuickGelu with alpha 1 is x * sigmoid(x), which is SiLU, in one kernel.
        self._node("QuickGelu", [f"{name}.gate"], [f"{name}.silu"], alpha=1.0)
        self._node("Mul", [f"{name}.silu", f"{name}.up"], [f"{name}.product"], "")
        return self._linear(f"{name}.out", f"{name}.product", [f"{prefix}.down_proj"])

    def _head(self, residual: str, delta: str) -> None:
        last = self._constant("last_index", np.array([-1], np.int64))
        for name in (residual, delta):
            self._node("Gather", [name, last], [f"{name}.last"], "", axis=1)
        normed, _ = self._add_and_norm(
            "final", f"{residual}.last", f"{delta}.last", "model.norm.weight"
        )
        head = "model.embed_tokens" if self.spec.tied else "lm_head"
        self._linear("logits", normed, [head])

    def _add_and_norm(
        self, name: str, residual: str, delta: str, norm: str, sum_name: str = ""
    ) -> tuple[str, str]:
        """Return the names of (norm(residual + delta), residual + delta)."""
        normed, total = f"{name}.normed", sum_name or f"{name}.residual"
        self._node(
            "SkipSimplifiedLayerNormalization",
            [residual, delta, self._parameter(norm)],
            [normed, "", "", total],
            epsilon=self.spec.norm_eps,
        )
        return normed, total

    def _linear(self, name: str, x: str, parts: list[str]) -> str:
        """One product with the stacked weights of `parts`; returns `name`."""
        matrices = [self._weight(f"{part}.weight") for part in parts]
        stacked = np.concatenate(matrices)
        biases = [self._given(f"{part}.bias") for part in parts]
        bias = None
        if any(b is not None for b in biases):
            bias = np.concatenate(
                [
                    np.zeros(len(w), np.float32) if b is None else b
                    for w, b in zip(matrices, biases, strict=True)
                ]
            )
        product = name if bias is None else f"{name}.product"
        if self.precision == "int8":
            levels, scales = quantize_blocks(stacked)
            inputs = [
                x,
                self._store(f"{name}.weight", levels),
                self._store(f"{name}.scale", scales),
            ]
            self._node(
                "MatMulNBits",
                inputs,
                [product],
                K=stacked.shape[1],
                N=stacked.shape[0],
                bits=8,
                block_size=BLOCK,
                accuracy_level=4,  # int8 activations too, scaled per position and block
            )
        else:
            weight = self._store(f"{name}.weight", np.ascontiguousarray(stacked.T))
            self._node("MatMul", [x, weight], [product], "")
        if bias is not None:
            self._node("Add", [product, self._store(f"{name}.bias", bias)], [name], "")
        return name

    def _weight(self, name: str) -> NDArray[np.float32]:
        array = self._given(name)
        if array is None:
            raise ThinkerError(f"the model has no parameter {name!r}: not a complete llama model")
        return array

    def _given(self, name: str) -> NDArray[np.float32] | None:
        """The model's own array, but queries come out scaled: a product of queries and keys with a
        factor of its own would have the keys copied first.
        """
        array = self.weights(name)
        if array is None or ".q_proj." not in name:
            return array
        return array * np.float32(self.spec.head_dim**-0.5)

    def _parameter(self, name: str) -> str:
        return self._store(name, self._weight(name))

    def _store(self, name: str, array: NDArray[Any]) -> str:
        """Append the array to the data file and refer to it under `name`."""
        self.data.write(b"\0" * (-self.data.tell() % ALIGNMENT))
        tensor = TensorProto(name=name, dims=array.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": WEIGHTS_FILE, "offset": self.data.tell(), "length": array.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self.data.write(array.tobytes())
        self.initializers.append(tensor)
        return name

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        self.initializers.append(onnx.numpy_helper.from_array(array, name))
        return name

    def _node(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        domain: str = MICROSOFT,
        **attributes: Any,
    ) -> None:
        self.nodes.append(
            helper.make_node(kind, inputs, outputs, outputs[0], domain=domain, **attributes)
        )

    def model(self) -> onnx.ModelProto:
        spec, floats, ints = self.spec, TensorProto.FLOAT, TensorProto.INT32
        info = helper.make_tensor_value_info
        cache = [1, spec.kv_heads, "max_length", spec.head_dim]
        inputs = [
            info("inputs_embeds", floats, [1, "n", spec.width]),
            info("last_position", ints, [1]),
            info("total_length", ints, [1]),
        ]
        outputs = [
            info("logits", floats, [1, 1, spec.vocab]),
            info("hidden", floats, [1, "n", spec.width]),
        ]
        for index in range(spec.layers):
            for kind in ("key", "value"):
                inputs.append(info(f"past_{kind}.{index}", floats, cache))
                outputs.append(info(f"present_{kind}.{index}", floats, cache))
        graph = helper.make_graph(self.nodes, "thinker", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        helper.set_model_props(model, {"max_length": str(spec.max_length)})
        return model
