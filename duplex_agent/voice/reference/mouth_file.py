"""Weight files of a mouth: what kind of head they hold stands in their metadata."""

from pathlib import Path

from duplex_agent.runtime import torch_checkpoint
from duplex_agent.voice.config import MouthConfig
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.mouth_fsq import CodeMouth
from duplex_agent.voice.weights import noted_sampling


def save_mouth(path: Path, mouth: Mouth, recipe: str, notes: dict[str, str]) -> None:
    """Write ``mouth`` with int8 matrices; raises CheckpointError."""
    head = "codes" if isinstance(mouth, CodeMouth) else "flow"
    sampling = mouth.head.sampling.value
    metadata = {"recipe": recipe, "head": head, "sampling": sampling, **notes}
    torch_checkpoint.save(path, mouth.state_dict(), metadata, int8=True)


def load_mouth(path: Path, config: MouthConfig | None = None) -> tuple[Mouth, dict[str, str]]:
    """The mouth in ``path``, ready to be stepped, and the file's metadata.

    Raises CheckpointError when the file is missing, broken, or of other sizes than ``config``.
    """
    tensors, metadata = torch_checkpoint.load(path)
    mouth = (CodeMouth if metadata.get("head") == "codes" else Mouth)(config)
    torch_checkpoint.load_module(mouth, tensors)
    mouth.head.sampling = noted_sampling(path, metadata)
    return mouth, metadata
