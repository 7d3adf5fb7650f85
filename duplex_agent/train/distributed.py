"""Training on several processes started by torchrun: whole batches each, sharded weights (FSDP).

With one process nothing here does anything; what a process holds are then plain tensors.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """The processes of this run, and which of them this is."""

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def wait(self) -> None:
        """Until every process is here."""
        if not self.alone:
            torch.distributed.barrier()

    def mean(self, values: Iterable[float], device: str) -> list[float]:
        """Averages over the processes, the same in each; NaN in one is NaN in all."""
        own = list(values)
        if self.alone:
            return own
        summed = torch.tensor(own, dtype=torch.float32, device=device)
        torch.distributed.all_reduce(summed)
        return [float(v) for v in summed / self.size]


def join(device: str) -> tuple[World, str]:
    """The world that torchrun set up (its environment variables) and this process's device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(), device
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return World(torch.distributed.get_rank(), size), device


def shard(module: nn.Module, units: Iterable[nn.Module], world: World, device: str) -> None:
    """Divide the parameters among the processes; ``units`` are gathered one at a time.

    Parameters outside the units stay gathered from the forward to the end of the backward pass.
    """
    if world.alone:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(torch.device(device).type, (world.size,))
    for unit in units:
        fully_shard(unit, mesh=mesh)
    fully_shard(module, mesh=mesh)


def gather(module: nn.Module, world: World) -> None:
    """Make every parameter of a sharded module whole in every process."""
    if world.alone:
        return
    from torch.distributed.fsdp import FSDPModule

    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.unshard()


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded; every process must ask for it."""
    gathered: Any = getattr(tensor, "full_tensor", None)
    return tensor if gathered is None else gathered()


def placed_like(tensor: Tensor, model: Tensor | None) -> Tensor:
    """``tensor`` sharded as ``model`` is, where shapes agree; else as it is."""
    mesh: Any = getattr(model, "device_mesh", None)
    if mesh is None or model is None or model.shape != tensor.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(model, DTensor)
    return distribute_tensor(tensor.to(model.device), mesh, model.placements)
