"""Recipe ``thinker-style``: the thinker learns to talk, by context distillation into a LoRA.

The teacher is the model itself with example turn pairs before the conversation (llm/chat.py), on
those of its replies that are good to hear; the learner has the instruction only. An anchor holds
the learner to the model as it was wherever nothing asks for a spoken reply.

    duplex-agent train thinker-style
    python -m duplex_agent.train.recipes.thinker_style --thinker NAME --work FOLDER
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from torch import Tensor, nn

from duplex_agent.llm.language_model import LanguageModel, find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL
from duplex_agent.llm.lora import save_lora
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.train.llm.batched import Rows, left_padded
from duplex_agent.train.llm.lora import adapter_layers, add_adapters
from duplex_agent.train.llm.spoken_style import SpokenReply
from duplex_agent.train.llm.style_data import StyleRow, StyleSizes, prepare_rows
from duplex_agent.train.loop import LoopConfig, Recipe, train

RANK: Final = 16
# Of what was learnt, so much is shipped, and the examples stay: whole, it costs right answers.
STRENGTH: Final = 0.5
_ANCHOR_WEIGHT: Final = 0.5
_SMALLEST_REST: Final = 1e-6


@dataclass(frozen=True)
class Lesson:
    """Rows of one kind, and what should follow at ``positions`` (row, from the end) of them.

    ids, probabilities: [positions, top]; what is missing to one belongs to all other ids together.
    """

    rows: Rows
    positions: tuple[Tensor, Tensor]
    ids: Tensor
    probabilities: Tensor

    @property
    def longest(self) -> int:
        """Last positions of the rows that hold every position."""
        return int(self.positions[1].max())


def lesson(rows: list[StyleRow], device: torch.device) -> Lesson:
    """Conversations with their replies, but for the last token, which only is a target."""
    inputs = [np.concatenate([row.context, row.reply[:-1]]).tolist() for row in rows]
    which = np.repeat(np.arange(len(rows)), [len(row.reply) for row in rows])
    from_end = np.concatenate([np.arange(len(row.reply), 0, -1) for row in rows])
    return Lesson(
        left_padded(inputs, device),
        (torch.from_numpy(which).to(device), torch.from_numpy(from_end).to(device)),
        torch.from_numpy(np.concatenate([row.ids for row in rows])).long().to(device),
        torch.from_numpy(np.concatenate([row.probabilities for row in rows])).to(device),
    )


def divergence(logits: Tensor, ids: Tensor, probabilities: Tensor) -> Tensor:
    """KL of ``probabilities`` against logits [positions, vocabulary], one value per position.

    All ids that are not listed are one outcome, so this is never more than the whole KL.
    """
    mine = torch.log_softmax(logits.float(), -1).gather(1, ids)
    rest = (1 - probabilities.sum(1)).clamp_min(0.0)
    # A probability of one is written over the first listed id; then the others do not count.
    my_rest = torch.log((1 - (mine.exp() * (probabilities > 0)).sum(1)).clamp_min(_SMALLEST_REST))
    listed = torch.special.xlogy(probabilities, probabilities) - probabilities * mine
    return listed.sum(1) + torch.special.xlogy(rest, rest) - rest * my_rest


def mean_of_rows(values: Tensor, row: Tensor) -> Tensor:
    """The mean over rows of each row's mean; ``row`` says whose the values [positions] are.

    A long reply counts no more than a short one, and the mean over several processes is the mean
    over all their rows.
    """
    counts = torch.bincount(row)
    return (values / counts[row]).sum() / len(counts)


class ThinkerStyleRecipe(Recipe):
    """A frozen language model with adapters, taught by itself."""

    name = "thinker-style"

    def __init__(
        self,
        llm: str | None,
        sizes: StyleSizes,
        rank: int = RANK,
        spoken_rows: int = 8,
        anchor_rows: int = 2,
    ) -> None:
        """Without an ``llm`` it makes itself a tiny random one."""
        self.llm, self.sizes, self.rank = llm, sizes, rank
        self.per_batch = {True: spoken_rows, False: anchor_rows}
        self.rows: dict[bool, list[StyleRow]] = {}
        self._source: LanguageModel | None = None

    @property
    def source(self) -> LanguageModel:
        """The language model that is trained on top of."""
        assert self._source is not None, "prepare() finds it"
        return self._source

    def prepare(self, work: Path) -> None:
        if self.llm is None:
            from duplex_agent.train.llm.tiny_model import write_tiny_llm

            self.llm = str(write_tiny_llm(work / "tiny-llm", "llama"))
        self._source = find_language_model(self.llm)
        rows = prepare_rows(
            work,
            lambda: self.source.transformers_model,
            prepared_text(self.source).tokenizer,
            self.sizes,
            seed=0,
        )
        self.rows = {kind: [r for r in rows if r.spoken == kind] for kind in (True, False)}

    def model(self) -> nn.Module:
        model: nn.Module = add_adapters(self.source.transformers_model, self.rank)
        return model

    def checkpointed(self, name: str) -> bool:
        return ".lora_" in name

    def shards(self, model: nn.Module) -> list[nn.Module]:
        return list(model.get_decoder().layers)  # type: ignore[operator]

    def batch(self, step: int, rng: np.random.Generator) -> list[list[StyleRow]]:
        return [
            [rows[i] for i in rng.integers(len(rows), size=self.per_batch[kind])]
            for kind, rows in self.rows.items()
            if rows
        ]

    def loss(
        self, model: nn.Module, batch: list[list[StyleRow]], rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        metrics: dict[str, float] = {}
        total: Any = 0.0
        for rows in batch:
            inputs = lesson(rows, rng.device)
            out = model(
                input_ids=inputs.rows.ids,
                attention_mask=inputs.rows.mask,
                position_ids=inputs.rows.positions,
                use_cache=False,
                logits_to_keep=inputs.longest,
            ).logits
            row, from_end = inputs.positions
            logits = out[row, inputs.longest - from_end]
            spread = mean_of_rows(divergence(logits, inputs.ids, inputs.probabilities), row)
            spoken = rows[0].spoken
            total = total + (spread if spoken else _ANCHOR_WEIGHT * spread)
            metrics["spoken" if spoken else "anchor"] = float(spread.detach())
        return total, metrics

    def export(self, model: nn.Module, out: Path) -> None:
        notes = {"recipe": self.name, "rank": str(self.rank), "backbone": self.source.name}
        path = out / f"{self.name}.safetensors"
        layers = {
            name: (a.float().cpu().numpy(), (STRENGTH * b).float().cpu().numpy())
            for name, (a, b) in adapter_layers(model).items()
        }
        save_lora(path, layers, self.source.fingerprint, notes)


def _anything(text: str) -> SpokenReply | None:
    """What a model that knows nothing writes is fit for a smoke run."""
    words = text.strip()
    return SpokenReply(words[:40], verbatim=False) if words else None


SMOKE_SIZES = StyleSizes(12, 4, 4, anchors=8, longest_reply=8, accept=_anything)


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: half an hour of two cores; smoke: seconds, on a tiny random model."""
    loop = LoopConfig(steps=500, lr=5e-4, warmup=30, ema=0.98, weight_decay=0.0)
    if smoke:
        loop = replace(loop, steps=40, warmup=5, log_every=5, ema=0.9, precision="fp32", lr=1e-2)
        return ThinkerStyleRecipe(None, SMOKE_SIZES, rank=4), loop
    return ThinkerStyleRecipe(DEFAULT_MODEL, StyleSizes()), loop


def main(
    thinker: Annotated[str, typer.Option(help="Pretrained part, path or hub name.")],
    work: Annotated[Path, typer.Option(help="Data, checkpoints, log and plot.")],
    steps: Annotated[int, typer.Option(min=1)] = 500,
    stop: Annotated[
        int | None, typer.Option(min=1, help="Stop at this step; the next run goes on from it.")
    ] = None,
    rank: Annotated[int, typer.Option(min=1)] = RANK,
    rows: Annotated[int, typer.Option(min=1, help="Spoken rows per step and process.")] = 8,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    precision: Annotated[str, typer.Option(help="bf16 or fp32.")] = "bf16",
) -> None:
    """Train the spoken style of any chat model; under torchrun its layers are sharded."""
    _, loop = build(smoke=False)
    loop = replace(loop, steps=steps, precision=precision)
    recipe = ThinkerStyleRecipe(thinker, StyleSizes(), rank, rows, max(1, rows // 4))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    train(recipe, loop, work, device, out=work / "weights", stop_after=stop)


if __name__ == "__main__":
    typer.run(main)
