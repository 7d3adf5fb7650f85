"""The adapter's weight file, written by PyTorch."""

from pathlib import Path

from duplex_agent.ear.adapter.weights import RECIPE
from duplex_agent.ear.reference.adapter import Adapter
from duplex_agent.runtime import torch_checkpoint


def save_adapter(path: Path, adapter: Adapter, thinker: str) -> None:
    """Write the adapter with int8 matrices; ``thinker`` is the fingerprint of its thinker.

    Raises CheckpointError.
    """
    notes = {"recipe": RECIPE, "backbone": thinker}
    tensors = {k: v for k, v in adapter.state_dict().items() if k != "ids"}
    torch_checkpoint.save(path, tensors | {"ids": adapter.ids.int()}, notes, int8=True)
