"""The streaming ear: 80 ms of sound in, the continuous tokens that became certain with it out.

Encoder and character head give features and letters a few ticks late; the transcriber turns them
into words; a word is a few tokens in the thinker's embedding space: those of its spelling, or what
the neural adapter made of its ticks.
"""

import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_agent import assets
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.errors import AudioError, CheckpointError
from duplex_agent.model import checkpoint
from duplex_agent.model.adapter import Rate
from duplex_agent.model.adapter_file import load_adapter
from duplex_agent.model.adapter_stream import AdapterStream, AdapterStreamState
from duplex_agent.model.ear import BLANK, CHARACTERS, FEATURES_PER_TICK, EarEncoder, EncoderState
from duplex_agent.model.hearing import (
    DEFAULT_LOOK_AHEAD,
    DEFAULT_TOKENS,
    LOOK_AHEADS,
    HeardWord,
    Hearing,
    TokenKind,
)
from duplex_agent.model.language_model import find_language_model
from duplex_agent.model.prepared import prepared_text
from duplex_agent.model.second_pass import SecondPass, between
from duplex_agent.model.sentence import Sentence, Word
from duplex_agent.model.text_tokenizer import TextTokenizer
from duplex_agent.model.thinker import DEFAULT_MODEL
from duplex_agent.model.transcriber import Transcriber
from duplex_agent.model.whisper_decoder import WhisperDecoder
from duplex_agent.model.whisper_weights import encoder_state

WEIGHTS: Final = checkpoint.WEIGHTS_DIR / "ear.safetensors"
_FLUSH_TICKS: Final = 12
_SILENCE_TICKS: Final = 50
# Whisper counts places from the beginning of a recording, and knows 1,500 of them.
_PLACES_IN_SILENCE: Final = 400
_RATES: Final[dict[TokenKind, Rate]] = {"12.5hz": 1, "6.25hz": 2}


@dataclass
class EarState:
    """Everything the ear remembers of one conversation.

    ``spelled`` is what the character head alone would say; ``tokens`` belong to the adapter, where
    there is one.
    """

    encoder: EncoderState
    transcriber: Sentence
    spelled: str = ""
    last_character: int = BLANK
    tokens: AdapterStreamState | None = None

    def clone(self) -> "EarState":
        """An independent copy, for trying out what comes next."""
        return EarState(
            copy.deepcopy(self.encoder),
            self.transcriber,
            self.spelled,
            self.last_character,
            self.tokens.clone() if self.tokens else None,
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
    """Encoder, character head and transcriber in step with the clock."""

    def __init__(
        self,
        encoder: EarEncoder,
        transcriber: Transcriber,
        tokenizer: TextTokenizer,
        embedding_table: NDArray[np.float32],
        adapter: AdapterStream | None = None,
    ) -> None:
        """``embedding_table`` [vocabulary, width] is the thinker's, ``tokenizer`` as well; an
        ``adapter`` gives words their tokens in place of both.
        """
        self.encoder = encoder.eval()
        self._transcriber = transcriber
        self._tokenizer = tokenizer
        self._table = embedding_table
        self._adapter = adapter

    @property
    def look_ahead_ticks(self) -> int:
        """Ticks of sound that must follow a tick before its letters are known."""
        return self.encoder.look_ahead_ticks

    def with_adapter(self, adapter: AdapterStream) -> "StreamingEar":
        """The same ear; its words carry what ``adapter`` makes of their ticks."""
        return StreamingEar(self.encoder, self._transcriber, self._tokenizer, self._table, adapter)

    def new_state(self) -> EarState:
        """A state that has heard nothing."""
        tokens = self._adapter.new_state() if self._adapter else None
        return EarState(self.encoder.new_state(), Sentence(), tokens=tokens)

    def embed(self, word: Word) -> NDArray[np.float32]:
        """A row per piece of the likeliest spelling, rivals of as many pieces mixed in."""
        spellings = [(self._tokenizer.encode(text), share) for text, share in word.guesses]
        best = spellings[0][0]
        alike = [(ids, share) for ids, share in spellings if len(ids) == len(best)]
        shares = np.array([share for _, share in alike], np.float32)
        rows = self._table[np.array([ids for ids, _ in alike])]
        return np.einsum("r,rnw->nw", shares / shares.sum(), rows)

    @torch.inference_mode()
    def step(self, state: EarState, pcm: NDArray[np.float32]) -> Hearing:
        """Hear one tick ``pcm`` float32 [1280] and give the words that now stand.

        Changes ``state`` in place. Raises AudioError when the sound has another shape or holds NaN;
        the state then stays as it was.
        """
        pcm = np.ascontiguousarray(pcm, np.float32)
        if pcm.shape != (USER_TICK_SAMPLES,) or not np.isfinite(pcm).all():
            raise AudioError(f"a tick is {USER_TICK_SAMPLES} finite samples, not {pcm.shape}")
        features = self.encoder.step(state.encoder, torch.from_numpy(pcm)[None])
        state.transcriber = self._transcriber.hear(state.transcriber, pcm)
        if int(state.encoder.tick[0]) <= self.look_ahead_ticks:
            return Hearing()
        shares = self.encoder.logits(features)[0]
        letters, state.last_character = decode_characters(shares, state.last_character)
        if self._adapter and state.tokens:
            self._adapter.hear(state.tokens, features[0], shares)
        state.spelled += letters
        state.transcriber, words, taken_back = self._transcriber.step(
            state.transcriber, features[0].numpy(), letters
        )
        if self._adapter and state.tokens:
            self._adapter.take_back(state.tokens, taken_back)
        if not state.transcriber.speaking:
            self._begin_again(state.encoder)
        settled = not (state.transcriber.speaking and state.transcriber.news)
        heard = [
            HeardWord(row, word.text, word.first_tick, word.last_tick)
            for word, row in zip(words, self._tokens(state, words, settled), strict=True)
        ]
        return Hearing(tuple(heard), settled, taken_back)

    def commit(self, state: EarState) -> None:
        """What was given out is being answered: none of it is taken back any more."""
        state.transcriber = self._transcriber.commit(state.transcriber)

    def _tokens(
        self, state: EarState, words: list[Word], settled: bool
    ) -> list[NDArray[np.float32]]:
        """The embeddings of ``words``; in a pause the last one also has what came behind it."""
        if self._adapter is None or state.tokens is None:
            return [self.embed(word) for word in words]
        ends = [word.last_tick for word in words]
        if settled and words:
            ends[-1] = state.transcriber.tick - 1
        return [
            self._adapter.take(state.tokens, word.first_tick, end)
            for word, end in zip(words, ends, strict=True)
        ]

    def flush(self, state: EarState) -> list[Hearing]:
        """What is still inside, as if a second of silence followed."""
        silence = np.zeros(USER_TICK_SAMPLES, np.float32)
        return [self.step(state, silence) for _ in range(_FLUSH_TICKS)]

    def _begin_again(self, state: EncoderState) -> None:
        """In silence, count places from 0 again: no sentence may run into the last one."""
        places = self.encoder.config.positions
        at = state.tick * FEATURES_PER_TICK
        if int((state.offset + at)[0]) % places > _PLACES_IN_SILENCE:
            state.offset = -at % places


@torch.inference_mode()
def silence_features(encoder: EarEncoder) -> NDArray[np.float32]:
    """What the encoder makes of four seconds of silence, [200, width]."""
    features: Tensor = encoder(torch.zeros(1, _SILENCE_TICKS * USER_TICK_SAMPLES))
    return features[0].numpy()


def save_ear(path: Path, encoder: EarEncoder) -> None:
    """Write the encoder with int8 matrices. Raises CheckpointError."""
    tensors = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    checkpoint.save(path, tensors, {"recipe": "ear", "characters": CHARACTERS}, int8=True)


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
    if look_ahead_ticks not in LOOK_AHEADS:
        raise CheckpointError(
            f"the ear was not trained for a look-ahead of {look_ahead_ticks} ticks: {LOOK_AHEADS}"
        )
    tensors, _ = checkpoint.load(path)
    encoder = EarEncoder(look_ahead_ticks=look_ahead_ticks)
    checkpoint.load_module(encoder, tensors, "encoder.")
    language = find_language_model(DEFAULT_MODEL)
    text = prepared_text(language)
    whisper = encoder_state(assets.path("whisper-tiny.en"))
    second_pass = SecondPass(between(encoder, whisper))
    transcriber = Transcriber(_decoder(), silence_features(encoder.eval()), second_pass)
    ear = StreamingEar(encoder, transcriber, text.tokenizer, text.embedding)
    if tokens == "words":
        return ear
    adapter = load_adapter(text.embedding, language.fingerprint)
    return ear.with_adapter(AdapterStream(adapter, _RATES[tokens]))


@lru_cache(maxsize=1)
def _decoder() -> WhisperDecoder:
    return WhisperDecoder()
