"""Many short conversations at once on a transformers model: generation, and scores of replies.

All rows share a prefix, which is read once. Rows are padded on the left, so that the last position
is the last of every row and the logits of all replies lie at the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_SHAPE_STEP = 8  # few distinct shapes: the CPU's matrix kernels are compiled for each


@dataclass(frozen=True)
class GenerationSettings:
    """How rows are continued: until a stop id or ``longest`` tokens.

    Temperature 0 takes the likeliest token; else one of the 50 likeliest is drawn.
    """

    stop_ids: frozenset[int]
    longest: int
    temperature: float = 0.0
    repetition_penalty: float = 1.0  # on the tokens of the continuation, as in llm/sampling.py


@dataclass(frozen=True)
class Rows:
    """Left-padded rows: ids, mask and positions, each [batch, width]."""

    ids: Tensor
    mask: Tensor
    positions: Tensor


def left_padded(rows: Sequence[Sequence[int]], device: torch.device, start: int = 0) -> Rows:
    """``rows`` of ids side by side; the first real id of each has position ``start``."""
    width = _stepped(max(map(len, rows)))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, width - len(tokens) :] = torch.tensor(tokens)
        mask[row, width - len(tokens) :] = 1
    positions = (mask.cumsum(1) - 1).clamp_min(0) + start
    return Rows(ids.to(device), mask.to(device), positions.to(device))


class _Prefixed:
    """A model that has read ``prefix`` once for every row of a batch."""

    def __init__(self, model: Any, prefix: Sequence[int], batch: int) -> None:
        from transformers import DynamicCache

        self.model, self.length = model, len(prefix)
        self.device = next(model.parameters()).device
        self.cache = DynamicCache(config=model.config)
        if prefix:
            inputs = torch.tensor([list(prefix)], device=self.device)
            model(input_ids=inputs, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
            self.cache.batch_repeat_interleave(batch)
        self.mask = torch.ones(batch, self.length, dtype=torch.long, device=self.device)

    def read(self, rows: Rows, keep: int) -> Tensor:
        """Append the rows; logits of the last ``keep`` positions, float32 [batch, keep, ids]."""
        self.mask = torch.cat([self.mask, rows.mask], 1)
        out = self.model(
            input_ids=rows.ids,
            attention_mask=self.mask,
            position_ids=rows.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        logits: Tensor = out.logits.float()
        return logits

    def keep(self, slots: list[int]) -> None:
        """Go on with some of the rows only."""
        self.cache.batch_select_indices(torch.tensor(slots, device=self.device))
        self.mask = self.mask[slots]


@torch.inference_mode()
def continuations(
    model: Any,
    prefix: Sequence[int],
    rows: Sequence[Sequence[int]],
    settings: GenerationSettings,
    generator: torch.Generator,
) -> list[list[int]]:
    """What the model writes after ``prefix`` and each row; a stop id that was given is included.

    ``generator`` is on the CPU, whatever the model is on.
    """
    read = _Prefixed(model, prefix, len(rows))
    step = left_padded(rows, read.device, len(prefix))
    generated: list[list[int]] = [[] for _ in rows]
    batch_rows = list(range(len(rows)))  # the row in each slot of the batch
    open_rows = set(batch_rows)
    last = step.positions[:, -1:]
    for _ in range(settings.longest):
        logits = read.read(step, keep=1)[:, -1].cpu()
        chosen = _choose(logits, [generated[row] for row in batch_rows], settings, generator)
        for row, token in zip(batch_rows, chosen, strict=True):
            if row in open_rows:
                generated[row].append(token)
                if token in settings.stop_ids:
                    open_rows.remove(row)
        if not open_rows:
            break
        if _stepped(len(open_rows)) < len(batch_rows):
            # Rows that are over go in groups: every size of a batch costs kernels of its own.
            stay = sorted(
                range(len(batch_rows)), key=lambda slot: batch_rows[slot] not in open_rows
            )
            stay = sorted(stay[: _stepped(len(open_rows))])
            read.keep(stay)
            batch_rows, last = [batch_rows[slot] for slot in stay], last[stay]
            chosen = [chosen[slot] for slot in stay]
        last = last + 1
        step = Rows(torch.tensor(chosen, device=read.device)[:, None], torch.ones_like(last), last)
    return generated


def _stepped(count: int) -> int:
    return -(-count // _SHAPE_STEP) * _SHAPE_STEP


def _choose(
    logits: Tensor,
    generated: list[list[int]],
    settings: GenerationSettings,
    generator: torch.Generator,
) -> list[int]:
    if settings.repetition_penalty != 1:
        for row, tokens in enumerate(generated):
            used = logits[row, tokens]
            penalty = settings.repetition_penalty
            logits[row, tokens] = torch.where(used > 0, used / penalty, used * penalty)
    if settings.temperature == 0:
        return [int(i) for i in logits.argmax(-1)]
    best = logits.topk(min(50, logits.shape[-1]))
    probabilities = torch.softmax(best.values / settings.temperature, -1)
    drawn = torch.multinomial(probabilities, 1, generator=generator)
    return [int(i) for i in best.indices.gather(1, drawn)[:, 0]]


@dataclass(frozen=True)
class Likeliest:
    """The likeliest next ids at every position of a reply and their log-probs, [n, top] each."""

    ids: Tensor
    log_probs: Tensor


@torch.inference_mode()
def read_replies(
    model: Any,
    prefix: Sequence[int],
    rows: Sequence[Sequence[int]],
    replies: Sequence[Sequence[int]],
    top: int,
    banned: Sequence[int] = (),
) -> Iterator[Likeliest]:
    """The model's distribution at each token of each reply (which follows its row).

    ``banned`` ids get probability 0; the others are those of a model without them.
    """
    read = _Prefixed(model, prefix, len(rows))
    inputs = [[*row, *reply[:-1]] for row, reply in zip(rows, replies, strict=True)]
    keep = max(map(len, replies))
    logits = read.read(left_padded(inputs, read.device, len(prefix)), keep).cpu()
    if banned:
        logits[..., list(banned)] = -torch.inf
    for row, reply in enumerate(replies):
        log_probs = torch.log_softmax(logits[row, keep - len(reply) :], -1)
        best = log_probs.topk(min(top, log_probs.shape[-1]))
        yield Likeliest(best.indices, best.values)
