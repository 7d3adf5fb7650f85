"""The streaming ear: 80 ms of sound in, one continuous token for the thinker out.

Encoder and character head give letters 320 ms late; the search turns them into words as soon as
they stand firm; the pieces of a word leave one a tick.
"""

import copy
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.errors import AudioError
from duplex_agent.model import checkpoint
from duplex_agent.model.ear import BLANK, CHARACTERS, EarEncoder, EncoderState
from duplex_agent.model.language_model import find_language_model
from duplex_agent.model.lexicon import Lexicon
from duplex_agent.model.prepared import prepared_text
from duplex_agent.model.thinker import DEFAULT_MODEL
from duplex_agent.model.word_pieces import WordPieces
from duplex_agent.model.word_search import FoundWord, SearchState, WordSearch

WEIGHTS: Final = checkpoint.WEIGHTS_DIR / "ear.safetensors"
_FLUSH_TICKS: Final = 24


@dataclass(frozen=True)
class EarToken:
    """What one tick of the user carries for the mind.

    ``embedding`` float32 [width] is a mixture of the thinker's input embeddings, zero when nothing
    was ``heard``; ``piece`` is the text of the likeliest vocabulary piece ('' if nothing).
    """

    embedding: NDArray[np.float32]
    heard: bool
    piece: str


@dataclass
class EarState:
    """Everything the ear remembers of one conversation.

    ``waiting`` are tokens that have not had their tick yet; ``spelled`` is what the character head
    alone would say.
    """

    encoder: EncoderState
    search: SearchState
    waiting: deque[EarToken] = field(default_factory=deque)
    spelled: str = ""
    last_character: int = BLANK

    def clone(self) -> "EarState":
        """An independent copy, for trying out what comes next."""
        return EarState(
            copy.deepcopy(self.encoder),
            self.search.clone(),
            self.waiting.copy(),
            self.spelled,
            self.last_character,
        )


def decode_characters(spelled: Tensor, last: int = BLANK) -> tuple[str, int]:
    """Greedy CTC text of log-probabilities [T, characters] that follow symbol ``last``."""
    text = []
    for symbol in spelled.argmax(-1).tolist():
        if symbol not in (BLANK, last):
            text.append(CHARACTERS[symbol])
        last = symbol
    return "".join(text), last


class StreamingEar:
    """Encoder, character head and word search in step with the clock."""

    def __init__(
        self,
        encoder: EarEncoder,
        search: WordSearch,
        spell: WordPieces,
        embedding_table: NDArray[np.float32],
        pieces: list[str],
    ) -> None:
        """``embedding_table`` [vocabulary, width] is the thinker's; ``pieces`` its texts."""
        self.encoder = encoder.eval()
        self.search = search
        self._spell = spell
        self._table = embedding_table
        self._pieces = pieces
        self._silent = EarToken(np.zeros(embedding_table.shape[1], np.float32), False, "")

    @property
    def look_ahead_ticks(self) -> int:
        """Ticks of sound that must follow a tick before its letters are known."""
        return self.encoder.look_ahead_ticks

    def new_state(self) -> EarState:
        """A state that has heard nothing."""
        return EarState(self.encoder.new_state(), self.search.new_state())

    def tokens_of(self, word: FoundWord) -> list[EarToken]:
        """One token per piece of the likeliest spelling, rivals of as many pieces mixed in."""
        spellings = [
            (self._spell.of(self.search.lexicon.words[index]), share)
            for index, share in word.guesses
        ]
        best = spellings[0][0]
        alike = [(ids, share) for ids, share in spellings if len(ids) == len(best)]
        shares = np.array([share for _, share in alike], np.float32)
        shares /= shares.sum()
        return [
            EarToken(shares @ self._table[[ids[place] for ids, _ in alike]], True, self._pieces[i])
            for place, i in enumerate(best)
        ]

    @torch.inference_mode()
    def step(self, state: EarState, pcm: NDArray[np.float32]) -> EarToken:
        """Hear one tick ``pcm`` float32 [1280] and give one token.

        A word's first token comes ``look_ahead_ticks`` and a few more after its end. Raises
        AudioError when the sound has another shape or holds NaN; the state then stays as it was.
        """
        pcm = np.ascontiguousarray(pcm, np.float32)
        if pcm.shape != (USER_TICK_SAMPLES,) or not np.isfinite(pcm).all():
            raise AudioError(f"a tick is {USER_TICK_SAMPLES} finite samples, not {pcm.shape}")
        features = self.encoder.step(state.encoder, torch.from_numpy(pcm)[None])
        if int(state.encoder.tick[0]) <= self.look_ahead_ticks:
            return self._silent
        spelled = self.encoder.logits(features)[0]
        text, state.last_character = decode_characters(spelled, state.last_character)
        state.spelled += text
        for word in self.search.step(state.search, spelled.numpy()):
            state.waiting.extend(self.tokens_of(word))
        return state.waiting.popleft() if state.waiting else self._silent

    def flush(self, state: EarState) -> list[EarToken]:
        """The tokens still inside, as if two seconds of silence followed."""
        silence = np.zeros(USER_TICK_SAMPLES, np.float32)
        return [self.step(state, silence) for _ in range(_FLUSH_TICKS)]


def save_ear(path: Path, encoder: EarEncoder, lexicon: Lexicon, names: frozenset[str]) -> None:
    """Write the encoder with int8 matrices, the words, and which of them are names.

    Raises CheckpointError.
    """
    tensors = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    tensors |= {f"lexicon.{k}": v for k, v in lexicon.tensors().items()}
    listed = "\n".join(sorted(names)).encode()
    tensors["names"] = torch.frombuffer(bytearray(listed), dtype=torch.uint8)
    metadata = {"recipe": "ear", "characters": CHARACTERS, "thinker": DEFAULT_MODEL}
    checkpoint.save(path, tensors, metadata, int8=True)


def load_ear(path: Path = WEIGHTS) -> StreamingEar:
    """The shipped ear; raises CheckpointError or AssetError."""
    tensors, _ = checkpoint.load(path)
    encoder = EarEncoder()
    checkpoint.load_module(encoder, tensors, "encoder.")
    prefix = "lexicon."
    known = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    names = bytes(tensors["names"].tolist()).decode().split("\n")
    text = prepared_text(find_language_model(DEFAULT_MODEL))
    search = WordSearch(Lexicon.from_tensors(known))
    spell = WordPieces(text.tokenizer, names)
    return StreamingEar(encoder, search, spell, text.embedding, text.tokenizer.pieces)
