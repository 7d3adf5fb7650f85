"""The streaming ear: 80 ms of sound in, one continuous token for the thinker out, 320 ms later."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.errors import AudioError
from duplex_agent.model import checkpoint
from duplex_agent.model.adapter import Adapter, AdapterState
from duplex_agent.model.ear import BLANK, CHARACTERS, EarEncoder, EncoderState
from duplex_agent.model.language_model import find_language_model
from duplex_agent.model.prepared import prepared_text
from duplex_agent.model.thinker import DEFAULT_MODEL

WEIGHTS: Final = checkpoint.WEIGHTS_DIR / "ear.safetensors"
_MIXED_PIECES: Final = 8


@dataclass(frozen=True)
class EarToken:
    """What one tick of the user carries for the mind.

    ``embedding`` float32 [width] lies among the thinker's input embeddings and is zero when nothing
    was ``heard``; ``piece`` is the text of the likeliest vocabulary piece ('' if nothing).
    """

    embedding: NDArray[np.float32]
    heard: bool
    piece: str


@dataclass
class EarState:
    """Everything the ear remembers of one conversation; ``spelled`` is what its letters say."""

    encoder: EncoderState
    adapter: AdapterState
    spelled: str = ""
    last_character: int = BLANK

    def clone(self) -> "EarState":
        """An independent copy, for trying out what comes next."""
        return copy.deepcopy(self)


def decode_characters(spelled: Tensor, last: int = BLANK) -> tuple[str, int]:
    """Greedy CTC text of log-probabilities [T, characters] that follow symbol ``last``."""
    text = []
    for symbol in spelled.argmax(-1).tolist():
        if symbol not in (BLANK, last):
            text.append(CHARACTERS[symbol])
        last = symbol
    return "".join(text), last


class StreamingEar:
    """Encoder, character head and adapter in step with the clock."""

    def __init__(
        self,
        encoder: EarEncoder,
        adapter: Adapter,
        embedding_table: NDArray[np.float32],
        pieces: list[str],
    ) -> None:
        """Row i of ``embedding_table`` [n, width] embeds ``pieces[i]`` for the thinker; the adapter
        chooses among these n.
        """
        self.encoder = encoder.eval()
        self.adapter = adapter.eval()
        self._pieces = pieces
        self._table = torch.from_numpy(np.ascontiguousarray(embedding_table))
        self._silent = EarToken(np.zeros(self._table.shape[1], np.float32), False, "")

    @cached_property
    def look_ahead_ticks(self) -> int:
        """Ticks of sound that must follow a tick before its token comes out."""
        return self.encoder.look_ahead_ticks

    def new_state(self) -> EarState:
        """A state that has heard nothing."""
        return EarState(self.encoder.new_state(), self.adapter.new_state())

    @torch.inference_mode()
    def step(self, state: EarState, pcm: NDArray[np.float32]) -> EarToken:
        """Hear one tick ``pcm`` float32 [1280]; the token of ``look_ahead_ticks`` ago.

        Raises AudioError when the sound has another shape or holds NaN; the state then stays.
        """
        pcm = np.ascontiguousarray(pcm, np.float32)
        if pcm.shape != (USER_TICK_SAMPLES,) or not np.isfinite(pcm).all():
            raise AudioError(f"a tick is {USER_TICK_SAMPLES} finite samples, not {pcm.shape}")
        features = self.encoder.step(state.encoder, torch.from_numpy(pcm)[None])
        if int(state.encoder.tick[0]) <= self.look_ahead_ticks:
            return self._silent
        spelled = self.encoder.logits(features)
        text, state.last_character = decode_characters(spelled[0], state.last_character)
        state.spelled += text
        letters, features = spelled.exp().flatten(1), features.flatten(1)
        gate, query = self.adapter.step(state.adapter, letters, features)
        if gate[0] <= 0:
            state.adapter.previous = torch.zeros_like(state.adapter.previous)
            return self._silent
        scores, best = (self._table @ query[0]).topk(_MIXED_PIECES)
        embedding = scores.softmax(0) @ self._table[best]
        state.adapter.previous = self._table[best[:1]]
        return EarToken(embedding.numpy(), True, self._pieces[int(best[0])])

    def flush(self, state: EarState) -> list[EarToken]:
        """The tokens still inside, as if silence followed."""
        silence = np.zeros(USER_TICK_SAMPLES, np.float32)
        return [self.step(state, silence) for _ in range(self.look_ahead_ticks)]


def save_ear(path: Path, encoder: EarEncoder, adapter: Adapter, vocabulary: Tensor) -> None:
    """Write both parts with int8 matrices; ``vocabulary`` int64 [n] are the pieces' ids.

    Raises CheckpointError.
    """
    tensors = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    tensors |= {f"adapter.{k}": v for k, v in adapter.state_dict().items()}
    tensors["vocabulary"] = vocabulary.to(torch.int32)
    metadata = {"recipe": "ear", "characters": CHARACTERS, "thinker": DEFAULT_MODEL}
    checkpoint.save(path, tensors, metadata, int8=True)


def load_ear(path: Path = WEIGHTS) -> StreamingEar:
    """The shipped ear; raises CheckpointError or AssetError."""
    tensors, _ = checkpoint.load(path)
    encoder, adapter = EarEncoder(), Adapter()
    checkpoint.load_module(encoder, tensors, "encoder.")
    checkpoint.load_module(adapter, tensors, "adapter.")
    text = prepared_text(find_language_model(DEFAULT_MODEL))
    ids = tensors["vocabulary"].tolist()
    pieces = [text.tokenizer.pieces[i] for i in ids]
    return StreamingEar(encoder, adapter, text.embedding[ids], pieces)
