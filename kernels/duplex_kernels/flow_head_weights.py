"""The flow head's weights as plain tensors, checked once.

Letters: S slots, L latent width, C condition width, W width of the head, B blocks, N steps,
M = (3 B + 2) W modulations: shift, scale and gate of each block, then the last shift and scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import same_device
from duplex_kernels.errors import ShapeError


@dataclass(frozen=True)
class FlowHeadWeights:
    """One type, one device, contiguous. Matrices are [out, in] as in ``torch.nn.Linear``.

    Raises ShapeError, DtypeError, LayoutError or DeviceError if the tensors do not fit.
    """

    enter: Tensor  # [W, L]
    enter_bias: Tensor  # [W]
    condition: Tensor  # [W, C]
    condition_bias: Tensor  # [W]
    modulation: Tensor  # [M, W]
    modulation_bias: Tensor  # [M]
    up: Tensor  # [B, W, W]
    up_bias: Tensor  # [B, W]
    down: Tensor  # [B, W, W]
    down_bias: Tensor  # [B, W]
    out: Tensor  # [L, W]
    out_bias: Tensor  # [L]

    def __post_init__(self) -> None:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        same_device(**tensors)
        checks.floats(enter=self.enter)
        checks.dtype(self.dtype, **tensors)
        checks.contiguous(**tensors)
        if self.enter.dim() != 2 or self.condition.dim() != 2 or self.up.dim() != 3:
            raise ShapeError("enter and condition are matrices, up is a stack of them")
        width, latent, blocks = self.width, self.latent, self.blocks
        checks.shape((width, self.condition.shape[1]), condition=self.condition)
        checks.shape((width,), enter_bias=self.enter_bias, condition_bias=self.condition_bias)
        checks.shape((self.modulations, width), modulation=self.modulation)
        checks.shape((self.modulations,), modulation_bias=self.modulation_bias)
        checks.shape((blocks, width, width), up=self.up, down=self.down)
        checks.shape((blocks, width), up_bias=self.up_bias, down_bias=self.down_bias)
        checks.shape((latent, width), out=self.out)
        checks.shape((latent,), out_bias=self.out_bias)

    @property
    def width(self) -> int:
        return self.enter.shape[0]

    @property
    def latent(self) -> int:
        return self.enter.shape[1]

    @property
    def blocks(self) -> int:
        return self.up.shape[0]

    @property
    def modulations(self) -> int:
        return (3 * self.blocks + 2) * self.width

    @property
    def dtype(self) -> torch.dtype:
        return self.enter.dtype

    @property
    def device(self) -> torch.device:
        return self.enter.device

    def to(self, dtype: torch.dtype) -> "FlowHeadWeights":
        """The same values in another type."""
        return FlowHeadWeights(**{f.name: getattr(self, f.name).to(dtype) for f in fields(self)})

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> "FlowHeadWeights":
        """From a ``state_dict`` with the layers enter, condition, blocks.N.{modulation, up, down},
        last_modulation and out, each with weight and bias; further entries (the embedding of
        time) are left alone. Raises KeyError if one is missing."""
        blocks = 1
        while f"blocks.{blocks}.up.weight" in state:
            blocks += 1

        def stack(layer: str, kind: str) -> Tensor:
            return torch.stack([state[f"blocks.{b}.{layer}.{kind}"] for b in range(blocks)])

        def modulation(kind: str) -> Tensor:
            each = [state[f"blocks.{b}.modulation.{kind}"] for b in range(blocks)]
            return torch.cat([*each, state[f"last_modulation.{kind}"]])

        return FlowHeadWeights(
            enter=state["enter.weight"],
            enter_bias=state["enter.bias"],
            condition=state["condition.weight"],
            condition_bias=state["condition.bias"],
            modulation=modulation("weight"),
            modulation_bias=modulation("bias"),
            up=stack("up", "weight"),
            up_bias=stack("up", "bias"),
            down=stack("down", "weight"),
            down_bias=stack("down", "bias"),
            out=state["out.weight"],
            out_bias=state["out.bias"],
        )
