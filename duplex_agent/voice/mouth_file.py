"""Weight files of a mouth: what kind of head they hold stands in their metadata."""

from pathlib import Path

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import torch_checkpoint
from duplex_agent.voice.flow import Sampling
from duplex_agent.voice.mouth import Mouth, MouthConfig
from duplex_agent.voice.mouth_fsq import CodeMouth


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
    try:
        mouth.head.sampling = Sampling(metadata.get("sampling", Sampling.EULER))
    except ValueError as error:
        raise CheckpointError(f"{path} asks for {error}; it is of a newer version") from error
    return mouth, metadata
