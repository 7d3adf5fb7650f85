"""Whisper's decoder on the features of another encoder: what was said, subword by subword.

The decoder is the one of Whisper tiny.en on ONNX Runtime, one thread. It decodes the streaming
ear's features as if Whisper's own encoder had made them. Keys and values of its cross-attention are
computed once for every tick of audio. The last hypothesis is verified in one step, and the result
is that of greedy decoding (speculative decoding, arXiv 2211.17192, with it as the draft).
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from duplex_agent import assets
from duplex_agent.ear.encoder_config import FEATURES_PER_TICK
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime.disk_cache import derived_folder
from duplex_agent.runtime.onnx_session import Precision, open_session
from duplex_agent.runtime.stored_rows import StoredRows

_PART: Final = "whisper-tiny.en"
# Raise it whenever graphs of an older one must not be used any more.
_GRAPH_VERSION: Final = 3
_CROSS_ATTENTION_FILE: Final = "cross_attention.onnx"
_DECODER_FILE: Final = "decoder.onnx"
_EMBEDDING_FILE: Final = "embedding.npy"
_POSITIONS_FILE: Final = "positions.npy"
_N_BEST: Final = 4
_MIN_PROBABILITY: Final = 0.02
# Nobody says more in a second, and a decoder in a loop would go on for ever.
_TOKENS_PER_TICK: Final = 0.7
_MIN_TOKENS: Final = 6

Array = NDArray[np.float32]
CrossAttention = NDArray[np.float32]
"""What the decoder attends to: keys and values of n features, [2 x layers, heads, n, 64]."""


@dataclass(frozen=True)
class Subword:
    """A token of the text, ``id`` in the decoder's vocabulary.

    ``alternatives``: the n-best texts with their probabilities, the best first.
    """

    id: int
    alternatives: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The likeliest text, with the space before it if a word begins here."""
        return self.alternatives[0][0]


class Decoder(Protocol):
    """Features to text."""

    def cross_attention(self, features: Array) -> Array:
        """What a decode needs of ``features`` [n, width]; n is the axis before the last."""
        ...

    def decode(
        self, attended: Sequence[Array], prefix: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> Iterable[Subword]:
        """The text of ``attended``, arrays of ``cross_attention`` in order, behind the tokens
        ``prefix`` that it begins with. Its probable tokens, ``draft``, change only the cost.
        """
        ...


class WhisperDecoder:
    """Greedy decoding; holds no conversation."""

    def __init__(self, precision: Precision = "int8") -> None:
        """Raises AssetError when the weights cannot be had, CheckpointError when they are bad."""
        tokenizer = assets.path(f"{_PART}-tokenizer")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._prompt = [self._special("startoftranscript"), self._special("notimestamps")]
        self._end = self._special("endoftext")
        config = json.loads(assets.path(f"{_PART}-config").read_text("utf-8"))
        self._never_first: list[int] = config["suppress_ids_begin"]
        folder = _prepared(config["suppress_ids"], self._end + 1, precision)
        self._embedding = StoredRows(folder / _EMBEDDING_FILE)
        self._positions: Array = np.load(folder / _POSITIONS_FILE)
        self._projection = open_session(folder / _CROSS_ATTENTION_FILE)
        self._decoder = open_session(folder / _DECODER_FILE)

    def cross_attention(self, features: Array) -> CrossAttention:
        [attended] = self._projection.run(None, {"features": np.ascontiguousarray(features)})
        return np.asarray(attended)

    def decode(
        self,
        attended: Sequence[CrossAttention],
        prefix: Sequence[int] = (),
        draft: Sequence[int] = (),
    ) -> Iterator[Subword]:
        audio = np.concatenate(attended, axis=2)
        begun = [*self._prompt, *prefix]
        most = _MIN_TOKENS + int(_TOKENS_PER_TICK * audio.shape[2] / FEATURES_PER_TICK)
        most = min(most, len(self._positions) - len(begun))
        draft = list(draft)[: max(0, most - 1)]
        if most <= 0:
            return
        cache = _KvCache(self._decoder, audio, len(begun) + most)
        logits = cache.append(self._rows([*begun, *draft], 0), len(draft) + 1)
        logits[0, self._never_first] = -np.inf
        for i in range(most):
            id_ = int(logits[0].argmax())
            if id_ == self._end:
                return
            yield self._subword(id_, logits[0])
            if i < len(draft) and id_ == draft[i]:
                logits = logits[1:]
            elif i + 1 < most:
                cache.length = len(begun) + i
                draft = draft[:i]
                logits = cache.append(self._rows([id_], cache.length), 1)

    def _special(self, name: str) -> int:
        id_ = self._tokenizer.token_to_id(f"<|{name}|>")
        if id_ is None:
            raise CheckpointError(f"the tokenizer of {_PART} has no token {name!r}")
        return id_

    def _rows(self, ids: list[int], first: int) -> Array:
        """Inputs of the tokens ``ids`` from position ``first`` on."""
        rows: Array = self._embedding[ids].astype(np.float32)
        return rows + self._positions[first : first + len(ids)]

    def _subword(self, id_: int, logits: Array) -> Subword:
        above = logits - logits[id_]
        total = float(np.exp(above).sum())
        likely = np.flatnonzero(above >= np.log(_MIN_PROBABILITY))
        probs = {int(i): float(np.exp(above[i])) / total for i in likely}
        others = (
            i for i, p in probs.items() if i not in (id_, self._end) and p >= _MIN_PROBABILITY
        )
        best = sorted(others, key=lambda i: -probs[i])[: _N_BEST - 1]
        kept = [id_, *best]
        return Subword(id_, tuple((self._tokenizer.decode([i]), probs[i]) for i in kept))


class _KvCache:
    """Keys and values of the ``length`` tokens decoded so far."""

    def __init__(
        self, decoder: onnxruntime.InferenceSession, attended: CrossAttention, longest: int
    ) -> None:
        self.length = 0
        self._decoder = decoder
        self._vocabulary: int = decoder.get_outputs()[0].shape[2]
        attended = attended[:, None]
        self._memory = np.empty((*attended.shape[:3], longest, attended.shape[4]), np.float32)
        self._attended = attended  # the binding holds addresses only
        self._binding = decoder.io_binding()
        for index, (heard, kept) in enumerate(zip(attended, self._memory, strict=True)):
            name = f"{('key', 'value')[index % 2]}.{index // 2}"
            self._bind(self._binding.bind_input, f"cross_{name}", heard)
            self._bind(self._binding.bind_input, f"past_{name}", kept)
            self._bind(self._binding.bind_output, f"present_{name}", kept)

    def append(self, rows: Array, answers: int) -> Array:
        """Append tokens [n, width]; logits [answers, vocabulary] behind the last of them."""
        total = np.array([self.length + len(rows)], np.int32)
        inputs: dict[str, NDArray[Any]] = {
            "tokens": rows[None],
            "first_answer": np.array([len(rows) - answers], np.int64),
            "last_position": total - np.int32(1),
            "total_length": total,
        }
        logits = np.empty((1, answers, self._vocabulary), np.float32)
        for name, array in inputs.items():
            self._bind(self._binding.bind_input, name, array)
        self._bind(self._binding.bind_output, "logits", logits)
        self._decoder.run_with_iobinding(self._binding)
        self.length += len(rows)
        return logits[0]

    @staticmethod
    def _bind(bind: Any, name: str, array: NDArray[Any]) -> None:
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def _prepared(suppressed: list[int], vocabulary: int, precision: Precision) -> Path:
    """The decoder's files in the assets cache, made now if they are not there."""

    def build(folder: Path) -> None:
        from duplex_agent.ear.whisper_graph import cross_attention_graph, decoder_graph
        from duplex_agent.ear.whisper_weights import decoder_weights
        from duplex_agent.runtime.onnx_graph import write_model

        print(f"Preparing {_PART} (once)", file=sys.stderr, flush=True)
        weights = decoder_weights(assets.path(_PART), vocabulary)
        # The file holds half precision: nothing is lost.
        np.save(folder / _EMBEDDING_FILE, weights["embeddings/weight"].astype(np.float16))
        np.save(folder / _POSITIONS_FILE, weights["position_encodings/encodings"])
        write_model(cross_attention_graph(weights, precision), folder / _CROSS_ATTENTION_FILE)
        write_model(decoder_graph(weights, suppressed, precision), folder / _DECODER_FILE)

    fingerprint = assets.find(_PART).sha256[:16]
    return derived_folder(f"{_PART}-{fingerprint}-{precision}-v{_GRAPH_VERSION}", build)
