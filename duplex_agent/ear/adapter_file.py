"""The adapter on disk: its own weights and the ids it knows; the thinker's table stays outside."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from duplex_agent.ear.adapter import Adapter, AdapterConfig
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint, torch_checkpoint

WEIGHTS: Final = checkpoint.WEIGHTS_DIR / "adapter.safetensors"
_RECIPE: Final = "adapter"


def save_adapter(path: Path, adapter: Adapter, backbone: str) -> None:
    """Write the adapter with int8 matrices; ``backbone`` is the thinker's fingerprint.

    Raises CheckpointError.
    """
    notes = {"recipe": _RECIPE, "backbone": backbone}
    tensors = {k: v for k, v in adapter.state_dict().items() if k != "ids"}
    torch_checkpoint.save(path, tensors | {"ids": adapter.ids.int()}, notes, int8=True)


def load_adapter(
    table: NDArray[np.float32],
    backbone: str,
    path: Path = WEIGHTS,
    config: AdapterConfig | None = None,
) -> Adapter:
    """The adapter of ``path`` for the thinker with embeddings ``table`` and that fingerprint.

    Raises CheckpointError for a damaged file, another kind of file, or another thinker's.
    """
    tensors, notes = torch_checkpoint.load(path)
    if notes.get("recipe") != _RECIPE or "ids" not in tensors:
        raise CheckpointError(f"{path} holds no adapter")
    if notes.get("backbone") != backbone:
        raise CheckpointError(f"{path} was trained with another language model")
    ids = tensors["ids"].long()
    if ids.dim() != 1 or not len(ids) or int(ids.min()) < 0 or int(ids.max()) >= len(table):
        raise CheckpointError(f"{path} names tokens that the language model does not have")
    tensors["ids"] = ids
    adapter = Adapter(ids, torch.from_numpy(table[ids.numpy()]), config)
    torch_checkpoint.load_module(adapter, tensors)
    return adapter.eval().requires_grad_(False)
