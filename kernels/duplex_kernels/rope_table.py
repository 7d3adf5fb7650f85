"""Angles of the rotary embedding, and the rotation itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import same_device
from duplex_kernels.paged.cache import PagedCache


@dataclass(frozen=True)
class RopeTable:
    """cos and sin, float32 [positions, head_dim / 2], contiguous.

    Dimension i is paired with i + head_dim / 2, as in the Llama and Qwen families.
    """

    cos: Tensor
    sin: Tensor

    def check(self, cache: PagedCache) -> None:
        """Raise ShapeError, DtypeError, LayoutError or DeviceError; reads no contents."""
        same_device(pages=cache.pages, cos=self.cos, sin=self.sin)
        shape = (self.cos.shape[0] if self.cos.ndim else 0, cache.head_dim // 2)
        checks.shape(shape, cos=self.cos, sin=self.sin)
        checks.dtype(torch.float32, cos=self.cos, sin=self.sin)
        checks.contiguous(cos=self.cos, sin=self.sin)


def rope_table(
    positions: int, head_dim: int, theta: float = 10_000.0, device: str | torch.device = "cpu"
) -> RopeTable:
    """Plain rotary embedding (Su et al., RoFormer), computed in float64 so that late positions are
    exact to float32. Scaled variants build their own `RopeTable`."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * theta**-exponents
    return RopeTable(cos=angles.cos().float().to(device), sin=angles.sin().float().to(device))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the last dimension of `x` [..., head_dim] by angles [..., head_dim / 2]."""
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)
