"""A frozen LLM that hears: gradients reach its input embeddings, never its weights."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from duplex_agent.llm.chat import ChatFormat

_SHAPE_STEP = 8  # few distinct shapes: the CPU's matrix kernels are compiled for each


class FrozenThinker:
    """A transformers model that has read the prompt prefix of a conversation once."""

    def __init__(self, model: Any, chat: ChatFormat) -> None:
        from transformers import DynamicCache

        self.model = model.requires_grad_(False).eval()
        self._device = next(model.parameters()).device
        self._table = model.get_input_embeddings()
        self._begin, self._end = (self.embed(ids) for ids in (chat.user_begin, chat.user_end))
        self._prefix = DynamicCache(config=model.config)
        self._length = len(chat.system)
        with torch.no_grad():
            inputs = torch.tensor([list(chat.system)], device=self._device)
            model(input_ids=inputs, past_key_values=self._prefix, use_cache=True, logits_to_keep=1)

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Rows of the input table [n, width]."""
        inputs = torch.as_tensor(list(ids), dtype=torch.long, device=self._device)
        rows: Tensor = self._table(inputs)
        return rows

    def expects(self, heard: Sequence[Tensor], replies: Sequence[Sequence[int]]) -> list[Tensor]:
        """Logits [len(reply), vocabulary] at each token of each reply, after user turns of the
        token embeddings ``heard`` [n >= 0, width].
        """
        inputs = [
            torch.cat([self._begin, rows.to(self._begin.dtype), self._end, self.embed(reply[:-1])])
            for rows, reply in zip(heard, replies, strict=True)
        ]
        width = -(-max(map(len, inputs)) // _SHAPE_STEP) * _SHAPE_STEP
        rows = torch.stack([_left_padded(t, width) for t in inputs])
        lengths = torch.tensor([len(t) for t in inputs], device=self._device)
        positions = torch.arange(width, device=self._device) - (width - lengths[:, None])
        prefix = copy.deepcopy(self._prefix)
        prefix.batch_repeat_interleave(len(inputs))
        keep = max(map(len, replies))
        logits = self.model(
            inputs_embeds=rows,
            attention_mask=torch.cat(
                [positions.new_ones(len(inputs), self._length), positions >= 0], 1
            ),
            position_ids=positions.clamp_min(0) + self._length,
            past_key_values=prefix,
            use_cache=True,
            logits_to_keep=keep,
        ).logits
        return [logits[row, keep - len(reply) :] for row, reply in enumerate(replies)]


def _left_padded(rows: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(rows, (0, 0, width - len(rows), 0))
