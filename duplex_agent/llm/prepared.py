"""Files that make a language model start fast: tokenizer, embedding table, ONNX graph.

Each is made once from the original model and kept in the assets cache under the model's
fingerprint and the version of whatever wrote it.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.language_model import LanguageModel
from duplex_agent.llm.lora import AdaptedParts, Lora
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.llm.thinker import token_ids
from duplex_agent.runtime.disk_cache import derived_folder
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.runtime.stored_rows import StoredRows

# Raise a version whenever files of an older one must not be used any more.
_TEXT_VERSION = 2
_GRAPH_VERSION = 4
_EMBEDDING_FILE = "embedding.npy"


@dataclass(frozen=True)
class PreparedText:
    """The parts of a language model that deal with text, on disk."""

    folder: Path
    model_name: str

    @cached_property
    def embedding(self) -> NDArray[np.float32]:
        """Input embeddings, float32 [vocabulary, width], mapped read-only."""
        table: NDArray[np.float32] = np.load(self.folder / _EMBEDDING_FILE, mmap_mode="r")
        return table

    def rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Embeddings of token ids, float32 [n, width]; ThinkerError for an id out of range."""
        return self._stored[token_ids(ids, self._stored.shape[0]).tolist()]

    @cached_property
    def _stored(self) -> StoredRows:
        return StoredRows(self.folder / _EMBEDDING_FILE)

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer; ThinkerError if the model came without one."""
        if not TextTokenizer.is_in(self.folder):
            raise ThinkerError(f"language model {self.model_name!r} has no tokenizer")
        return TextTokenizer(self.folder)


def prepared_text(model: LanguageModel) -> PreparedText:
    """Tokenizer and embedding table of a model, made now if they are not cached."""

    def build(folder: Path) -> None:
        _note(model, "reading the vocabulary")
        np.save(folder / _EMBEDDING_FILE, model.parts.embedding())
        try:
            model.parts.save_tokenizer(folder)
        except ThinkerError as error:
            _note(model, str(error))

    folder = derived_folder(f"{_label(model)}-text-v{_TEXT_VERSION}", build)
    return _opened(folder, model.name)


@lru_cache(maxsize=4)
def _opened(folder: Path, model_name: str) -> PreparedText:
    """One for the ear and the thinker: a tokenizer takes 30 MB."""
    return PreparedText(folder, model_name)


def prepared_graph(model: LanguageModel, precision: Precision, lora: Lora | None = None) -> Path:
    """Path of the model's `model.onnx` in one precision, written now if it is not cached.

    `lora` is merged into the weights before they are quantised. Raises ThinkerError if the model is
    not of an architecture that the graph writer knows, CheckpointError if `lora` does not fit it.
    """

    def build(folder: Path) -> None:
        from duplex_agent.llm.llama_graph import write_llama

        _note(model, "reading the model")
        parts = model.parts if lora is None else AdaptedParts(model.parts, lora)
        write_llama(parts.spec, parts.parameter, folder, precision, _layer_note(model))

    if lora is not None:
        lora.check_base(model)
    label = _label(model) if lora is None else f"{_label(model)}-lora-{lora.fingerprint}"
    folder = derived_folder(f"{label}-{precision}-v{_GRAPH_VERSION}", build)
    return folder / "model.onnx"


def _label(model: LanguageModel) -> str:
    name = Path(model.name).name
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".")
    return f"{safe}-{model.fingerprint}"


def _note(model: LanguageModel, what: str, end: str = "\n") -> None:
    print(f"Preparing {model.name} (once): {what}", end=end, file=sys.stderr, flush=True)


def _layer_note(model: LanguageModel) -> Callable[[int, int], None]:
    """Shows the layers written so far: on one line of a terminal, first and last in a log."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print("\r", end="", file=sys.stderr)
            _note(model, f"layer {done} of {total}", end="\n" if done == total else "")
        elif done in (0, total):
            _note(model, f"layer {done} of {total}")

    return show
