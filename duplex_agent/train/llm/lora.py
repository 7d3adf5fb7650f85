"""Low-rank adapters (LoRA) beside the linear layers of a frozen model, for training only."""

import math

import torch
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """A frozen linear layer plus ``scale`` times the product b a, which begins as zero."""

    def __init__(self, base: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.base = base
        self.scale = scale
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        down = nn.functional.linear(x, self.lora_a)
        return self.base(x) + self.scale * nn.functional.linear(down, self.lora_b)


def add_adapters(model: nn.Module, rank: int, scale: float = 2.0) -> nn.Module:
    """Freeze ``model`` and put an adapter beside every linear layer but the output head."""
    model.requires_grad_(False)
    head = getattr(model, "get_output_embeddings", lambda: None)()
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head]
    for name, layer in found:
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, LoraLinear(layer, rank, scale))
    return model


def adapter_layers(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Layer name -> (a, b) of every adapter, with the scale in b."""
    return {
        name: (module.lora_a.detach(), module.scale * module.lora_b.detach())
        for name, module in model.named_modules()
        if isinstance(module, LoraLinear)
    }
