"""The one training loop: resumable, seeded, with EMA, a CSV log and a loss plot.

A batch and its noise are a pure function of (seed, step), so a run that was interrupted and
resumed walks through the same numbers as one that was not. Started by torchrun, every process
draws its own batch from (seed, step, rank); gradients are averaged, weights sharded.
"""

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from duplex_agent.errors import TrainingError
from duplex_agent.train.distributed import World, gather, join, placed_like, shard, whole
from duplex_agent.train.log import append_log, plot_loss


@dataclass(frozen=True)
class LoopConfig:
    """How a recipe is optimised: AdamW, linear warm-up, cosine to ``final_lr_fraction``."""

    steps: int
    lr: float
    warmup: int = 100
    final_lr_fraction: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    checkpoint_every_s: float = 120.0
    log_every: int = 20
    precision: str = "bf16"


class Recipe(ABC):
    """What is trained on what: data, module, loss and the file that ships."""

    name: str

    @abstractmethod
    def prepare(self, work: Path) -> None:
        """Make or find the training data under ``work``; what exists is kept."""

    @abstractmethod
    def model(self) -> nn.Module:
        """A freshly initialised module (the loop seeds torch before the call)."""

    @abstractmethod
    def batch(self, step: int, rng: np.random.Generator) -> Any:
        """The batch of ``step``, drawn with ``rng`` only."""

    @abstractmethod
    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss and metrics for the log."""

    @abstractmethod
    def export(self, model: nn.Module, out: Path) -> None:
        """Write the weights that ship."""

    def parameter_groups(self, model: nn.Module, lr: float) -> list[dict[str, Any]]:
        """Optimiser groups; override to give parts their own learning rate."""
        return [{"params": [p for p in model.parameters() if p.requires_grad], "lr": lr}]

    def checkpointed(self, name: str) -> bool:
        """Whether a parameter or buffer belongs into checkpoints.

        Override to leave out a frozen base that ``model`` brings back bit for bit.
        """
        return True

    def shards(self, model: nn.Module) -> list[nn.Module]:
        """Modules whose parameters are gathered one after another when weights are sharded."""
        return []


def _schedule(config: LoopConfig, step: int) -> float:
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.final_lr_fraction + (1 - config.final_lr_fraction) * cosine


class _Lesson(nn.Module):
    """A recipe's loss as a module: whatever it calls on the model, the weights are gathered."""

    def __init__(self, recipe: Recipe, model: nn.Module) -> None:
        super().__init__()
        self.recipe, self.model = recipe, model

    def forward(self, batch: Any, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.recipe.loss(self.model, batch, rng)


class _Run:
    """A recipe on its way: module, optimiser, EMA copy and the step it has reached."""

    def __init__(
        self,
        recipe: Recipe,
        config: LoopConfig,
        work: Path,
        device: str,
        world: World,
    ) -> None:
        torch.manual_seed(config.seed)
        self.recipe, self.config, self.work, self.device = recipe, config, work, device
        self.world = world
        self.saved = time.monotonic()
        self.model = recipe.model().to(device)
        self.lesson = _Lesson(recipe, self.model)
        shard(self.lesson, recipe.shards(self.model), world, device)
        groups = recipe.parameter_groups(self.model, config.lr)
        self.peaks = [group["lr"] for group in groups]
        self.optimiser = torch.optim.AdamW(
            groups, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True
        )
        self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.ema = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        return self.work / f"{self.recipe.name}.checkpoint.safetensors"

    @property
    def log(self) -> Path:
        return self.work / f"{self.recipe.name}.csv"

    def save(self) -> None:
        self.saved = time.monotonic()
        state = self.model.state_dict()
        tensors = {f"model.{k}": v for k, v in state.items() if self.recipe.checkpointed(k)}
        tensors |= {f"ema.{k}": v for k, v in self.ema.items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": torch.as_tensor(v) for k, v in slots.items()}
        # Each process takes part in gathering what is sharded; the first one writes.
        tensors = {k: whole(v).detach().cpu().contiguous().clone() for k, v in tensors.items()}
        if self.world.rank == 0:
            self._write(tensors)
        self.world.wait()

    def _write(self, tensors: dict[str, Tensor]) -> None:
        partial = self.checkpoint.with_suffix(".part")
        try:
            save_file(tensors, partial, {"step": str(self.step)})
            partial.replace(self.checkpoint)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise TrainingError(f"cannot write {self.checkpoint}: {error.strerror}") from error

    def resume(self) -> None:
        if not self.checkpoint.exists():
            self.log.unlink(missing_ok=True)
            return
        with safe_open(self.checkpoint, framework="pt") as file:
            self.step = int(file.metadata()["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self._fill(tensors)
        # In the module's own order: the file's is alphabetical, and the update zips the two.
        self.ema = {
            name: placed_like(tensors[f"ema.{name}"].to(self.device), parameter)
            for name, parameter in self.parameters.items()
        }
        state = self.optimiser.state_dict()
        optimised = [p for group in self.optimiser.param_groups for p in group["params"]]
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, number, slot = name.split(".")
                index = int(number)
                placed = placed_like(tensor, optimised[index])
                state["state"].setdefault(index, {})[slot] = placed
        self.optimiser.load_state_dict(state)

    def _fill(self, tensors: dict[str, Tensor]) -> None:
        """Put the checkpoint's weights into the module; TrainingError if they are another's."""
        own = self.model.state_dict()
        found = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
        try:
            placed = {k: placed_like(v, own.get(k)) for k, v in found.items()}
            result = self.model.load_state_dict(placed, strict=False)
            missing = [k for k in result.missing_keys if self.recipe.checkpointed(k)]
            if missing or result.unexpected_keys:
                raise RuntimeError(f"{len(missing)} missing")
        except RuntimeError as error:
            raise TrainingError(
                f"{self.checkpoint} is from another version of the recipe; move it away to start"
            ) from error

    def one_step(self) -> dict[str, float]:
        config = self.config
        scale = _schedule(config, self.step)
        for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
            group["lr"] = peak * scale
        rank = self.world.rank
        own = (config.seed, self.step, rank) if rank else (config.seed, self.step)
        batch = self.recipe.batch(self.step, np.random.default_rng(own))
        noise = config.seed * 1_000_003 + self.step + rank * 1_000_000_007
        rng = torch.Generator(self.device).manual_seed(noise)
        torch.manual_seed(noise)
        self.model.train()
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=config.precision == "bf16"):
            loss, metrics = self.lesson(batch, rng)
        metrics = {"loss": float(loss.detach()), **metrics}
        means = self.world.mean(metrics.values(), self.device)
        metrics = dict(zip(metrics, means, strict=True))
        if not math.isfinite(metrics["loss"]):
            raise TrainingError(
                f"loss became {metrics['loss']} at step {self.step}; lower the rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        # Group by group: a judge's gradients must not be scaled by those of what it judges.
        for group in self.optimiser.param_groups:
            nn.utils.clip_grad_norm_(group["params"], config.clip)
        self.optimiser.step()
        decay = min(config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.values()), list(self.parameters.values()), 1 - decay)
        self.step += 1
        return metrics

    def averaged(self) -> nn.Module:
        """The module with its EMA weights in place."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.ema[name])
        gather(self.lesson, self.world)
        return self.model.eval()

    def save_if_due(self) -> None:
        """Save when it was long ago; the processes agree, since all have to take part."""
        due = time.monotonic() - self.saved > self.config.checkpoint_every_s
        if any(self.world.mean([float(due)], self.device)):
            self.save()


def train(
    recipe: Recipe,
    config: LoopConfig,
    work: Path,
    device: str = "cpu",
    out: Path | None = None,
    stop_after: int | None = None,
) -> float:
    """Run or resume ``recipe`` in ``work`` and return the mean loss of the last logged steps.

    ``stop_after`` ends the run early (the checkpoint stays), for training in slices. With ``out``
    the averaged weights are exported when the last step is reached. Raises TrainingError.
    """
    world, device = join(device)
    work.mkdir(parents=True, exist_ok=True)
    # The first process makes the data, the others find it.
    if world.rank == 0:
        recipe.prepare(work)
    world.wait()
    if world.rank:
        recipe.prepare(work)
    run = _Run(recipe, config, work, device, world)
    run.resume()
    last_step = min(config.steps, stop_after or config.steps)
    sums: dict[str, float] = {}
    counted, mean_loss = 0, math.nan
    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
    )
    with Progress(*columns, disable=world.rank > 0) as progress:
        task = progress.add_task(recipe.name, total=last_step, completed=run.step, metrics="")
        while run.step < last_step:
            for key, value in run.one_step().items():
                sums[key] = sums.get(key, 0.0) + value
            counted += 1
            if run.step % config.log_every == 0 or run.step == last_step:
                means = {k: v / counted for k, v in sums.items()}
                mean_loss = means["loss"]
                seconds = time.monotonic() - started
                if world.rank == 0:
                    append_log(run.log, {"step": run.step, "seconds": seconds, **means})
                progress.update(task, metrics=" ".join(f"{k} {v:.3f}" for k, v in means.items()))
                sums, counted = {}, 0
            progress.update(task, completed=run.step)
            run.save_if_due()
    run.save()
    if run.log.exists() and world.rank == 0:
        plot_loss(run.log)
    if out is not None and run.step >= config.steps:
        model = run.averaged()
        if world.rank == 0:
            recipe.export(model, out)
        world.wait()
    return mean_loss
