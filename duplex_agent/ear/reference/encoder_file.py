"""The encoder's weight file, written and read by PyTorch."""

from pathlib import Path

from duplex_agent.ear.encoder_config import CHARACTERS
from duplex_agent.ear.encoder_weights import PREFIX
from duplex_agent.ear.reference.encoder import EarEncoder
from duplex_agent.runtime import torch_checkpoint


def save_ear(path: Path, encoder: EarEncoder) -> None:
    """Write the encoder with int8 matrices. Raises CheckpointError."""
    tensors = {f"{PREFIX}{k}": v for k, v in encoder.state_dict().items()}
    metadata = {"recipe": "ear", "characters": CHARACTERS}
    torch_checkpoint.save(path, tensors, metadata, int8=True)


def load_encoder(path: Path, look_ahead_ticks: int) -> EarEncoder:
    """The encoder that ``save_ear`` wrote. Raises CheckpointError for damaged weights."""
    tensors, _ = torch_checkpoint.load(path)
    encoder = EarEncoder(look_ahead_ticks=look_ahead_ticks)
    torch_checkpoint.load_module(encoder, tensors, PREFIX)
    return encoder.eval()
