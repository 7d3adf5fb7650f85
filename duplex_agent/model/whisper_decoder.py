"""Whisper's decoder on features that somebody else made: what was said, piece by piece.

The decoder is the one of Whisper tiny.en as CTranslate2 runs it (int8, one thread). It reads the
streaming ear's features as if Whisper's own encoder had made them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.model.ear import FEATURES_PER_TICK

_PART: Final = "whisper-tiny.en"
_RIVALS: Final = 4
_LEAST_SHARE: Final = 0.02
# Nobody says more in a second, and a decoder that has lost its place would go on for ever.
_PIECES_PER_TICK: Final = 0.7
_LEAST_PIECES: Final = 6


@dataclass(frozen=True)
class ReadPiece:
    """A piece of the text, ``id`` in the decoder's vocabulary.

    ``guesses`` are the texts that could stand in its place with their shares, the best first.
    """

    id: int
    guesses: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The likeliest text, with the space before it if a word begins here."""
        return self.guesses[0][0]


class Decoder(Protocol):
    """Features to text."""

    def read(self, features: NDArray[np.float32], written: Sequence[int] = ()) -> list[ReadPiece]:
        """The text of ``features`` [frames, width] behind the pieces ``written`` it begins with."""
        ...


class WhisperDecoder:
    """Greedy reading; holds no conversation."""

    def __init__(self) -> None:
        """Raises AssetError when the weights cannot be had."""
        from ctranslate2.models import Whisper
        from tokenizers import Tokenizer

        weights = assets.path(_PART)
        tokenizer = assets.path(f"{_PART}-tokenizer")
        config = json.loads(assets.path(f"{_PART}-config").read_text("utf-8"))
        assets.path(f"{_PART}-vocabulary")
        self._model: Any = Whisper(
            str(weights.parent), device="cpu", compute_type="int8", intra_threads=1
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        named = self._tokenizer.token_to_id
        self._prompt = [named("<|startoftranscript|>"), named("<|notimestamps|>")]
        self._end = named("<|endoftext|>")
        self._silenced: list[int] = config["suppress_ids"]

    def read(self, features: NDArray[np.float32], written: Sequence[int] = ()) -> list[ReadPiece]:
        from ctranslate2 import StorageView

        ticks = len(features) / FEATURES_PER_TICK
        most = len(self._prompt) + _LEAST_PIECES + int(_PIECES_PER_TICK * ticks)
        [result] = self._model.generate(
            StorageView.from_array(np.ascontiguousarray(features[None], np.float32)),
            [[*self._prompt, *written]],
            beam_size=1,
            max_length=2 * most,
            suppress_tokens=self._silenced,
            return_logits_vocab=True,
        )
        new = slice(len(written), None)
        # One more row of logits than pieces where the end was reached.
        pairs = zip(result.sequences_ids[0][new], result.logits[0][new], strict=False)
        return [self._piece(id_, np.asarray(logits, np.float32)) for id_, logits in pairs]

    def _piece(self, id_: int, logits: NDArray[np.float32]) -> ReadPiece:
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        likely = np.argpartition(shares, -_RIVALS)[-_RIVALS:].tolist()
        rivals = sorted((i for i in likely if i != id_ and i < self._end), key=lambda i: -shares[i])
        kept = [id_, *(i for i in rivals if shares[i] >= _LEAST_SHARE)]
        return ReadPiece(id_, tuple((self._tokenizer.decode([i]), float(shares[i])) for i in kept))
