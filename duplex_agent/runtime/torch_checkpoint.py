"""Weight files for PyTorch's modules, and modules' weights as arrays: training and comparison.

The running agent reads the same files through ``checkpoint`` and imports no PyTorch.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint


def save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], int8: bool) -> None:
    """As ``checkpoint.save``, from tensors of any device and floating-point kind."""
    checkpoint.save(
        path, {name: _array(tensor) for name, tensor in tensors.items()}, metadata, int8
    )


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """As ``checkpoint.load``, into tensors."""
    arrays, metadata = checkpoint.load(path)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, metadata


def load_module(module: nn.Module, tensors: dict[str, Tensor], prefix: str = "") -> None:
    """Fill ``module`` from the tensors under ``prefix``; raises CheckpointError on a mismatch."""
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"weights do not fit {type(module).__name__}: {reason}") from error


def parameters(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Everything of ``module``'s state by name, as float32."""
    return {name: tensor.float().cpu().numpy() for name, tensor in module.state_dict().items()}


def _array(tensor: Tensor) -> NDArray[np.generic]:
    tensor = tensor.detach().cpu()
    array: NDArray[np.generic] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array
