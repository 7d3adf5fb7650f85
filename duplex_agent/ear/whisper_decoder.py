"""Whisper's decoder on features that somebody else made: what was said, piece by piece.

The decoder is the one of Whisper tiny.en on ONNX Runtime, one thread. It reads the streaming ear's
features as if Whisper's own encoder had made them. What its layers attend to is made once for every
tick of sound, and what the last reading found is only checked, all pieces at once: greedy reading
stays what it is (speculative decoding, arXiv 2211.17192, with the last reading as the draft).
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
_GRAPH_VERSION: Final = 2
_SOUND_FILE: Final = "sound.onnx"
_READER_FILE: Final = "reader.onnx"
_EMBEDDING_FILE: Final = "embedding.npy"
_PLACES_FILE: Final = "places.npy"
_RIVALS: Final = 4
_LEAST_SHARE: Final = 0.02
# Nobody says more in a second, and a decoder that has lost its place would go on for ever.
_PIECES_PER_TICK: Final = 0.7
_LEAST_PIECES: Final = 6

Array = NDArray[np.float32]
Sound = NDArray[np.float32]
"""What the decoder attends to: keys and values of n features, [2 x layers, heads, n, 64]."""


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

    def sound(self, features: Array) -> Array:
        """What a reading needs of ``features`` [n, width]; n is the axis before the last."""
        ...

    def read(
        self, sound: Sequence[Array], written: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> Iterable[ReadPiece]:
        """The text of ``sound``, one array after the other, behind the pieces ``written`` that it
        begins with. What it will probably be, ``draft``, changes nothing but the cost.
        """
        ...


class WhisperDecoder:
    """Greedy reading; holds no conversation."""

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
        self._places: Array = np.load(folder / _PLACES_FILE)
        self._projection = open_session(folder / _SOUND_FILE)
        self._reader = open_session(folder / _READER_FILE)

    def sound(self, features: Array) -> Sound:
        [sound] = self._projection.run(None, {"features": np.ascontiguousarray(features)})
        return np.asarray(sound)

    def read(
        self, sound: Sequence[Sound], written: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> Iterator[ReadPiece]:
        heard = np.concatenate(sound, axis=2)
        begun = [*self._prompt, *written]
        most = _LEAST_PIECES + int(_PIECES_PER_TICK * heard.shape[2] / FEATURES_PER_TICK)
        most = min(most, len(self._places) - len(begun))
        draft = list(draft)[: max(0, most - 1)]
        if most <= 0:
            return
        page = _Page(self._reader, heard, len(begun) + most)
        logits = page.write(self._rows([*begun, *draft], 0), len(draft) + 1)
        logits[0, self._never_first] = -np.inf
        for place in range(most):
            id_ = int(logits[0].argmax())
            if id_ == self._end:
                return
            yield self._piece(id_, logits[0])
            if place < len(draft) and id_ == draft[place]:
                logits = logits[1:]
            elif place + 1 < most:
                page.length = len(begun) + place
                draft = draft[:place]
                logits = page.write(self._rows([id_], page.length), 1)

    def _special(self, name: str) -> int:
        id_ = self._tokenizer.token_to_id(f"<|{name}|>")
        if id_ is None:
            raise CheckpointError(f"the tokenizer of {_PART} has no piece {name!r}")
        return id_

    def _rows(self, ids: list[int], first: int) -> Array:
        """Inputs of the pieces ``ids`` from place ``first`` on."""
        pieces: Array = self._embedding[ids].astype(np.float32)
        return pieces + self._places[first : first + len(ids)]

    def _piece(self, id_: int, logits: Array) -> ReadPiece:
        above = logits - logits[id_]
        total = float(np.exp(above).sum())
        likely = np.flatnonzero(above >= np.log(_LEAST_SHARE))
        shares = {int(i): float(np.exp(above[i])) / total for i in likely}
        rivals = (
            i for i, share in shares.items() if i not in (id_, self._end) and share >= _LEAST_SHARE
        )
        best = sorted(rivals, key=lambda i: -shares[i])[: _RIVALS - 1]
        kept = [id_, *best]
        return ReadPiece(id_, tuple((self._tokenizer.decode([i]), shares[i]) for i in kept))


class _Page:
    """One reading's text so far: ``length`` pieces and what the layers keep of them."""

    def __init__(self, reader: onnxruntime.InferenceSession, sound: Sound, longest: int) -> None:
        self.length = 0
        self._reader = reader
        self._vocabulary: int = reader.get_outputs()[0].shape[2]
        sound = sound[:, None]
        self._memory = np.empty((*sound.shape[:3], longest, sound.shape[4]), np.float32)
        self._sound = sound  # the binding holds addresses only
        self._binding = reader.io_binding()
        for index, (heard, kept) in enumerate(zip(sound, self._memory, strict=True)):
            name = f"{('key', 'value')[index % 2]}.{index // 2}"
            self._bind(self._binding.bind_input, f"sound_{name}", heard)
            self._bind(self._binding.bind_input, f"past_{name}", kept)
            self._bind(self._binding.bind_output, f"present_{name}", kept)

    def write(self, rows: Array, answers: int) -> Array:
        """Append pieces [n, width]; logits [answers, vocabulary] behind the last of them."""
        total = np.array([self.length + len(rows)], np.int32)
        inputs: dict[str, NDArray[Any]] = {
            "pieces": rows[None],
            "first_answer": np.array([len(rows) - answers], np.int64),
            "last_position": total - np.int32(1),
            "total_length": total,
        }
        logits = np.empty((1, answers, self._vocabulary), np.float32)
        for name, array in inputs.items():
            self._bind(self._binding.bind_input, name, array)
        self._bind(self._binding.bind_output, "logits", logits)
        self._reader.run_with_iobinding(self._binding)
        self.length += len(rows)
        return logits[0]

    @staticmethod
    def _bind(bind: Any, name: str, array: NDArray[Any]) -> None:
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def _prepared(silenced: list[int], vocabulary: int, precision: Precision) -> Path:
    """The decoder's files in the assets cache, made now if they are not there."""

    def build(folder: Path) -> None:
        from duplex_agent.ear.whisper_graph import reader_graph, sound_graph
        from duplex_agent.ear.whisper_weights import decoder_weights
        from duplex_agent.runtime.onnx_graph import write_model

        print(f"Preparing {_PART} (once)", file=sys.stderr, flush=True)
        weights = decoder_weights(assets.path(_PART), vocabulary)
        # The file holds half precision: nothing is lost.
        np.save(folder / _EMBEDDING_FILE, weights["embeddings/weight"].astype(np.float16))
        np.save(folder / _PLACES_FILE, weights["position_encodings/encodings"])
        write_model(sound_graph(weights, precision), folder / _SOUND_FILE)
        write_model(reader_graph(weights, silenced, precision), folder / _READER_FILE)

    fingerprint = assets.find(_PART).sha256[:16]
    return derived_folder(f"{_PART}-{fingerprint}-{precision}-v{_GRAPH_VERSION}", build)
