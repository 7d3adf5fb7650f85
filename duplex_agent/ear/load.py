"""The shipped ear: its weights, and all that it hears with put together."""

from functools import lru_cache
from pathlib import Path
from typing import Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_agent import assets
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.adapter import Rate
from duplex_agent.ear.adapter_file import load_adapter
from duplex_agent.ear.adapter_stream import AdapterStream
from duplex_agent.ear.encoder import CHARACTERS, EarEncoder
from duplex_agent.ear.full_context import SILENCE_TICKS, SecondPass, between
from duplex_agent.ear.hearing import (
    DEFAULT_LOOK_AHEAD,
    DEFAULT_TOKENS,
    LOOK_AHEADS,
    TokenKind,
)
from duplex_agent.ear.streaming import StreamingEar
from duplex_agent.ear.tick_encoder import TickEncoder
from duplex_agent.ear.transcriber import Transcriber
from duplex_agent.ear.whisper_decoder import WhisperDecoder
from duplex_agent.ear.whisper_weights import encoder_state
from duplex_agent.errors import CheckpointError
from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.runtime import checkpoint, torch_checkpoint

WEIGHTS: Final = checkpoint.WEIGHTS_DIR / "ear.safetensors"
RATES: Final[dict[TokenKind, Rate]] = {"12.5hz": 1, "6.25hz": 2}


@torch.inference_mode()
def silence_features(encoder: EarEncoder) -> NDArray[np.float32]:
    """What the encoder makes of four seconds of silence, [200, width]."""
    features: Tensor = encoder(torch.zeros(1, SILENCE_TICKS * USER_TICK_SAMPLES))
    return features[0].numpy()


def save_ear(path: Path, encoder: EarEncoder) -> None:
    """Write the encoder with int8 matrices. Raises CheckpointError."""
    tensors = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    torch_checkpoint.save(path, tensors, {"recipe": "ear", "characters": CHARACTERS}, int8=True)


def load_encoder(path: Path = WEIGHTS, look_ahead_ticks: int = DEFAULT_LOOK_AHEAD) -> EarEncoder:
    """The encoder in ``path``, which ``save_ear`` wrote.

    Raises CheckpointError for another look-ahead than 1, 2 or 4 ticks, and for damaged weights.
    """
    if look_ahead_ticks not in LOOK_AHEADS:
        raise CheckpointError(
            f"the ear was not trained for a look-ahead of {look_ahead_ticks} ticks: {LOOK_AHEADS}"
        )
    tensors, _ = torch_checkpoint.load(path)
    encoder = EarEncoder(look_ahead_ticks=look_ahead_ticks)
    torch_checkpoint.load_module(encoder, tensors, "encoder.")
    return encoder.eval()


def load_second_pass(encoder: EarEncoder) -> SecondPass:
    """The second pass between ``encoder`` and Whisper. Raises AssetError and CheckpointError."""
    return SecondPass(between(encoder, encoder_state(assets.path("whisper-tiny.en"))))


def load_ear(
    path: Path = WEIGHTS,
    look_ahead_ticks: int = DEFAULT_LOOK_AHEAD,
    tokens: TokenKind = DEFAULT_TOKENS,
) -> StreamingEar:
    """The shipped ear, hearing 1, 2 or 4 ticks of 80 ms ahead.

    Raises CheckpointError for another look-ahead, other ``tokens`` or damaged weights, and
    AssetError.
    """
    if tokens not in get_args(TokenKind):
        raise CheckpointError(f"no tokens {tokens!r}: {', '.join(get_args(TokenKind))}")
    encoder = load_encoder(path, look_ahead_ticks)
    language = find_language_model(DEFAULT_MODEL)
    text = prepared_text(language)
    transcriber = Transcriber(_decoder(), silence_features(encoder), load_second_pass(encoder))
    ear = StreamingEar(TickEncoder(encoder), transcriber, text.tokenizer, text.embedding)
    if tokens == "words":
        return ear
    adapter = load_adapter(text.embedding, language.fingerprint)
    return ear.with_adapter(AdapterStream(adapter, RATES[tokens]))


@lru_cache(maxsize=1)
def _decoder() -> WhisperDecoder:
    return WhisperDecoder()
