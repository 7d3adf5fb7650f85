"""Whisper's decoder as CTranslate2 runs it: what the ear's own decoder is measured against."""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK
from duplex_agent.ear.whisper_decoder import Subword

_PART: Final = "whisper-tiny.en"
_TOKENS_PER_TICK: Final = 0.7
_MIN_TOKENS: Final = 8

Array = NDArray[np.float32]


class Ctranslate2Decoder:
    """Greedy decoding of the whole window, from features to the last token, every time.

    ``decodes`` keeps what was asked and answered: features, prefix, tokens behind it.
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
        self.decodes: list[tuple[Array, list[int], list[int]]] = []

    def cross_attention(self, features: Array) -> Array:
        return features

    def decode(
        self, attended: Sequence[Array], prefix: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> list[Subword]:
        from ctranslate2 import StorageView

        features = np.concatenate(attended)
        most = _MIN_TOKENS + int(_TOKENS_PER_TICK * len(features) / FEATURES_PER_TICK)
        [result] = self._model.generate(
            StorageView.from_array(np.ascontiguousarray(features[None])),
            [[*self._prompt, *prefix]],
            beam_size=1,
            max_length=2 * most,
            suppress_tokens=self._silenced,
        )
        ids = result.sequences_ids[0][len(prefix) :]
        self.decodes.append((features, list(prefix), ids))
        return [Subword(id_, ((self._tokenizer.decode([id_]), 1.0),)) for id_ in ids]
