"""The thinker on ONNX Runtime: one CPU thread, caches written in place."""

import contextlib
import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.language_model import LanguageModel
from duplex_agent.llm.lora import Lora
from duplex_agent.llm.prepared import prepared_graph, prepared_text
from duplex_agent.llm.rotary import moved, stored_tables
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.llm.thinker import (
    ThinkerState,
    ThinkerStep,
    check_embeddings,
    check_splice,
    check_truncation,
)
from duplex_agent.runtime.onnx_session import Precision, open_session


@dataclass
class OnnxState(ThinkerState):
    """A conversation and its caches, float32 [layers, 2, 1, kv_heads, max_length, head_dim].

    Memory is taken only as far as the conversation has come. The binding ties every layer's past
    and present to the same buffer, which makes the attention write in place.
    """

    cache: NDArray[np.float32]
    binding: Any


class OnnxThinker:
    """A Llama-architecture model written by `llama_onnx`, run by ONNX Runtime."""

    def __init__(
        self,
        model: LanguageModel,
        precision: Precision,
        max_length: int,
        lora: Lora | None = None,
    ) -> None:
        graph = prepared_graph(model, precision, lora)
        self._text = prepared_text(model)
        self._session = open_session(graph)
        shapes = {value.name: value.shape for value in self._session.get_inputs()}
        self.width: int = shapes["inputs_embeds"][2]
        self._layers = sum(name.startswith("past_key.") for name in shapes)
        _, self._kv_heads, _, self._head_dim = shapes["past_key.0"]
        outputs = {value.name: value.shape for value in self._session.get_outputs()}
        self._vocabulary: int = outputs["logits"][2]
        longest = int(self._session.get_modelmeta().custom_metadata_map["max_length"])
        if max_length > longest:
            raise ThinkerError(f"{model.name} holds at most {longest} positions, not {max_length}")
        self.max_length = max_length
        self._rotation = stored_tables(graph.parent, longest, self._head_dim)
        self._total = np.zeros(1, np.int32)
        self._last = np.zeros(1, np.int32)

    @property
    def tokenizer(self) -> TextTokenizer:
        return self._text.tokenizer

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return self._text.rows(ids)

    def new_state(self) -> OnnxState:
        shape = (self._layers, 2, 1, self._kv_heads, self.max_length, self._head_dim)
        cache = _zeros_by_the_page(shape)
        binding = self._session.io_binding()
        for layer, pair in enumerate(cache):
            for kind, buffer in zip(("key", "value"), pair, strict=True):
                where = ("cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
                binding.bind_input(f"past_{kind}.{layer}", *where)
                binding.bind_output(f"present_{kind}.{layer}", *where)
        return OnnxState(length=0, cache=cache, binding=binding)

    def copy(self, state: ThinkerState) -> OnnxState:
        assert isinstance(state, OnnxState)
        copied = self.new_state()
        copied.cache[..., : state.length, :] = state.cache[..., : state.length, :]
        copied.length = state.length
        return copied

    def append(self, state: ThinkerState, embeddings: NDArray[np.float32]) -> ThinkerStep:
        assert isinstance(state, OnnxState)
        rows = check_embeddings(state, embeddings, self.width, self.max_length)
        self._total[0] = state.length + len(rows)
        self._last[0] = self._total[0] - 1
        logits = np.empty((1, 1, self._vocabulary), np.float32)
        hidden = np.empty((1, *rows.shape), np.float32)
        inputs = {
            "inputs_embeds": rows[None],
            "last_position": self._last,
            "total_length": self._total,
        }
        for name, array in inputs.items():
            state.binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in {"logits": logits, "hidden": hidden}.items():
            state.binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(state.binding)
        state.length += len(rows)
        return ThinkerStep(logits=logits[0, 0], hidden=hidden[0])

    def truncate(self, state: ThinkerState, length: int) -> None:
        check_truncation(state, length)
        state.length = length

    def splice(
        self, state: ThinkerState, start: int, end: int, filling: ThinkerState | None = None
    ) -> None:
        assert isinstance(state, OnnxState)
        assert filling is None or isinstance(filling, OnnxState)
        check_splice(state, start, end, filling, self.max_length)
        behind = start + (filling.length if filling else 0)
        self._move(state.cache[..., end : state.length, :], state.cache, behind, behind - end)
        if filling:
            self._move(filling.cache[..., : filling.length, :], state.cache, start, start)
        state.length += behind - end

    def _move(
        self, source: NDArray[np.float32], cache: NDArray[np.float32], start: int, by: int
    ) -> None:
        """Copy positions into a cache from `start` on, their keys rotated by as many more."""
        end = start + source.shape[-2]
        for (keys, values), layer in zip(source, cache, strict=True):
            layer[0, :, :, start:end] = moved(keys, by, *self._rotation)
            layer[1, :, :, start:end] = values


def _zeros_by_the_page(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Zeros that take memory in pages of 4 KiB, where they are written.

    numpy asks the kernel for pages of 2 MiB: the first position of every head of every layer would
    take the whole of a cache.
    """
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    memory = mmap.mmap(-1, math.prod(shape) * 4, flags=kind)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(shape)
