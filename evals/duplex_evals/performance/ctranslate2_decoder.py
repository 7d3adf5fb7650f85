"""Whisper's decoder as CTranslate2 runs it: what the ear's own decoder is measured against."""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK
from duplex_agent.ear.whisper_decoder import ReadPiece

_PART: Final = "whisper-tiny.en"
_SUBWORDS_PER_TICK: Final = 0.7
_LEAST_SUBWORDS: Final = 8

Array = NDArray[np.float32]


class Ctranslate2Decoder:
    """Greedy decoding of the whole window, from features to the last subword, every time.

    ``hypotheses`` keeps what was asked and answered: features, subwords before, subwords behind.
    """

    def __init__(self, compute_type: str = "int8") -> None:
        """Raises AssetError when the weights cannot be had."""
        from ctranslate2.models import Whisper
        from tokenizers import Tokenizer

        weights = assets.path(_PART)
        tokenizer = assets.path(f"{_PART}-tokenizer")
        config = json.loads(assets.path(f"{_PART}-config").read_text("utf-8"))
        assets.path(f"{_PART}-vocabulary")
        self._model: Any = Whisper(
            str(weights.parent), device="cpu", compute_type=compute_type, intra_threads=1
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        named = self._tokenizer.token_to_id
        self._prompt = [named("<|startoftranscript|>"), named("<|notimestamps|>")]
        self._silenced: list[int] = config["suppress_ids"]
        self.hypotheses: list[tuple[Array, list[int], list[int]]] = []

    def sound(self, features: Array) -> Array:
        return features

    def read(
        self, sound: Sequence[Array], written: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> list[ReadPiece]:
        from ctranslate2 import StorageView

        features = np.concatenate(sound)
        most = _LEAST_SUBWORDS + int(_SUBWORDS_PER_TICK * len(features) / FEATURES_PER_TICK)
        [result] = self._model.generate(
            StorageView.from_array(np.ascontiguousarray(features[None])),
            [[*self._prompt, *written]],
            beam_size=1,
            max_length=2 * most,
            suppress_tokens=self._silenced,
        )
        ids = result.sequences_ids[0][len(written) :]
        self.hypotheses.append((features, list(written), ids))
        return [ReadPiece(id_, ((self._tokenizer.decode([id_]), 1.0),)) for id_ in ids]
