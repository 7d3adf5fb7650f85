"""The thinker on transformers: any causal language model, the reference for the fast backends."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from duplex_agent.errors import CheckpointError, ThinkerError
from duplex_agent.llm.language_model import LanguageModel
from duplex_agent.llm.lora import Lora
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.llm.thinker import (
    ThinkerState,
    ThinkerStep,
    check_embeddings,
    check_splice,
    check_truncation,
    token_ids,
)


@dataclass
class TransformersState(ThinkerState):
    """A conversation, the transformers cache that holds it, and the rows [width] it was fed."""

    cache: Any
    rows: list[NDArray[np.float32]]


class TransformersThinker:
    """Any `AutoModelForCausalLM` whose cache can be cropped, in fp32 on the CPU."""

    def __init__(self, model: LanguageModel, max_length: int, lora: Lora | None = None) -> None:
        self._source = model
        if lora is not None:
            lora.check_base(model)
        self._model = model.transformers_model
        if lora is not None:
            # The parameters are shared with `model`, which belongs to this thinker alone.
            _merge(self._model, lora)
        config = self._model.config.get_text_config()
        self.width: int = config.hidden_size
        self.max_length = max_length
        self._middle: int = config.num_hidden_layers // 2
        self._embedding: NDArray[np.float32] = self._model.get_input_embeddings().weight.numpy()

    @property
    def tokenizer(self) -> TextTokenizer:
        return prepared_text(self._source).tokenizer

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return self._embedding[token_ids(ids, len(self._embedding))]

    def new_state(self) -> TransformersState:
        from transformers import DynamicCache

        return TransformersState(length=0, cache=DynamicCache(config=self._model.config), rows=[])

    def copy(self, state: ThinkerState) -> TransformersState:
        assert isinstance(state, TransformersState)
        return TransformersState(state.length, deepcopy(state.cache), list(state.rows))

    def append(self, state: ThinkerState, embeddings: NDArray[np.float32]) -> ThinkerStep:
        assert isinstance(state, TransformersState)
        rows = check_embeddings(state, embeddings, self.width, self.max_length)
        with torch.inference_mode():
            out = self._model(
                inputs_embeds=torch.from_numpy(rows)[None],
                past_key_values=state.cache,
                use_cache=True,
                output_hidden_states=True,
                logits_to_keep=1,
            )
        state.length += len(rows)
        state.rows += list(rows)
        return ThinkerStep(
            logits=out.logits[0, -1].numpy(), hidden=out.hidden_states[self._middle][0].numpy()
        )

    def truncate(self, state: ThinkerState, length: int) -> None:
        assert isinstance(state, TransformersState)
        check_truncation(state, length)
        if length == 0:
            state.cache = self.new_state().cache
        elif length < state.length:
            try:
                state.cache.crop(length - state.length)  # negative: how many to remove
            except (RuntimeError, ValueError, NotImplementedError) as error:
                raise ThinkerError(f"this model's cache cannot be cut: {error}") from error
        state.length = length
        del state.rows[length:]

    def splice(
        self, state: ThinkerState, start: int, end: int, filling: ThinkerState | None = None
    ) -> None:
        """Reads everything behind `start` again: it works whatever a model does with positions."""
        assert isinstance(state, TransformersState)
        assert filling is None or isinstance(filling, TransformersState)
        check_splice(state, start, end, filling, self.max_length)
        rows = [*(filling.rows if filling else []), *state.rows[end:]]
        self.truncate(state, start)
        if rows:
            self.append(state, np.stack(rows))


def _merge(model: Any, lora: Lora) -> None:
    """Add the change to the weights of a transformers model, in place."""
    with torch.no_grad():
        for name in lora.layers:
            try:
                weight = model.get_parameter(f"{name}.weight")
            except AttributeError as error:
                raise CheckpointError(
                    f"{lora.file} changes {name}, which the model has not"
                ) from error
            delta = lora.delta(name, tuple(weight.shape))
            assert delta is not None
            weight += torch.from_numpy(delta)
