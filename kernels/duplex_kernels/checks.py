"""Checks that the element-wise kernels share, made before anything is launched."""

import torch
from torch import Tensor

from duplex_kernels.errors import DtypeError, LayoutError, ShapeError

FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def floats(**tensors: Tensor | None) -> None:
    """DtypeError unless every given tensor is float32, float16 or bfloat16."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.dtype not in FLOATS:
            raise DtypeError(f"{name} is {tensor.dtype}, not float32, float16 or bfloat16")


def dtype(wanted: torch.dtype, **tensors: Tensor | None) -> None:
    """DtypeError unless every given tensor has the type ``wanted``."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.dtype != wanted:
            raise DtypeError(f"{name} is {tensor.dtype}, not {wanted}")


def shape(wanted: tuple[int, ...], **tensors: Tensor | None) -> None:
    """ShapeError unless every given tensor has the shape ``wanted``."""
    for name, tensor in tensors.items():
        if tensor is not None and tuple(tensor.shape) != wanted:
            raise ShapeError(f"{name} has shape {tuple(tensor.shape)}, not {wanted}")


def contiguous(**tensors: Tensor | None) -> None:
    """LayoutError unless every given tensor is contiguous."""
    for name, tensor in tensors.items():
        if tensor is not None and not tensor.is_contiguous():
            raise LayoutError(f"{name} has strides {tensor.stride()}; it must be contiguous")
