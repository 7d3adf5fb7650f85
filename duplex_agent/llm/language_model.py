"""Where a language model comes from: a pretrained part, a GGUF file, a folder, or a hub name."""

import contextlib
import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.assets.cache import expanded
from duplex_agent.errors import ThinkerError
from duplex_agent.llm.gguf_llama import GgufLlama
from duplex_agent.llm.llama_spec import LlamaSpec, read_spec
from duplex_agent.llm.text_tokenizer import settings_of, write_tokenizer

_FOLDER_FILES = ("*.json", "*.jinja", "*.model", "*.safetensors", "*.bin", "*.gguf")


class ModelParts(Protocol):
    """What the prepared files are made of. Every member raises ThinkerError if it cannot be had."""

    @property
    def spec(self) -> LlamaSpec:
        """The sizes, if the model is of Llama's architecture."""
        ...

    def parameter(self, name: str) -> NDArray[np.float32] | None:
        """A parameter by its Hugging Face name, None if the model has none such."""
        ...

    def embedding(self) -> NDArray[np.float32]:
        """The input embedding table, float32 [vocabulary, width]."""
        ...

    def save_tokenizer(self, folder: Path) -> None:
        """Write the tokenizer for `TextTokenizer(folder)`."""
        ...


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model on disk; `gguf` is the file's name if the weights are in a GGUF."""

    name: str
    folder: Path
    gguf: str | None = None
    sha256: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change whenever a byte of the model changes."""
        if self.sha256:
            return self.sha256[:16]
        if self.gguf:
            return assets.sha256_of(self.folder / self.gguf)[:16]
        digest = hashlib.sha256()
        for file in sorted(f for pattern in _FOLDER_FILES for f in self.folder.glob(pattern)):
            digest.update(f"{file.name} {assets.sha256_of(file)}\n".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def parts(self) -> ModelParts:
        """The model's sizes, parameters and tokenizer, by the quickest reader that knows it."""
        if self.gguf:
            quick = GgufLlama(self.folder / self.gguf)
            if quick.supported:
                return quick
        return _TransformersParts(self)

    @cached_property
    def transformers_model(self) -> Any:
        """The transformers model in fp32 evaluation mode; ThinkerError if it cannot be read."""
        import torch
        import transformers

        with _without_bars():
            try:
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    **self._source, dtype=torch.float32
                )
            except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
                raise ThinkerError(
                    f"cannot load language model {self.name!r}: {_line(error)}"
                ) from error
        return model.eval().requires_grad_(False)

    @cached_property
    def transformers_tokenizer(self) -> Any:
        """The transformers tokenizer; ThinkerError if the model has none that can be read."""
        import transformers

        with _without_bars():
            try:
                return transformers.AutoTokenizer.from_pretrained(**self._source)
            except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
                raise ThinkerError(
                    f"language model {self.name!r} has no tokenizer: {_line(error)}"
                ) from error

    @property
    def _source(self) -> dict[str, Any]:
        found: dict[str, Any] = {"pretrained_model_name_or_path": str(self.folder)}
        if self.gguf:
            found["gguf_file"] = self.gguf
        return found


class _TransformersParts:
    """Parts of any model that transformers can load, sharing that model's memory."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def spec(self) -> LlamaSpec:
        return read_spec(self._model.transformers_model.config)

    def parameter(self, name: str) -> NDArray[np.float32] | None:
        tensor = self._parameters.get(name)
        return None if tensor is None else tensor.numpy()

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        return dict(self._model.transformers_model.named_parameters())

    def embedding(self) -> NDArray[np.float32]:
        weight = self._model.transformers_model.get_input_embeddings().weight
        table: NDArray[np.float32] = weight.numpy()
        return table

    def save_tokenizer(self, folder: Path) -> None:
        tokenizer = self._model.transformers_tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ThinkerError(f"language model {self._model.name!r} has no fast tokenizer")
        write_tokenizer(backend, settings_of(tokenizer), folder)


def find_language_model(name: str) -> LanguageModel:
    """Find a model by the name of a pretrained part, a path, or a hub repository.

    Raises AssetError or ThinkerError if it is nowhere to be had.
    """
    if name in assets.ASSETS:
        file = assets.path(name)
        return LanguageModel(name, file.parent, file.name, assets.ASSETS[name].sha256)
    local = expanded(name)
    if local.is_file():
        return LanguageModel(name, local.parent, local.name)
    if local.is_dir():
        return LanguageModel(name, local)
    return LanguageModel(name, _download(name))


def _download(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        wanted = ["*.json", "*.jinja", "*.model", "*.safetensors", "*.txt"]
        return Path(snapshot_download(repository, allow_patterns=wanted))
    except (HFValidationError, OSError) as error:  # network and hub errors are OSErrors
        raise ThinkerError(
            f"no language model {repository!r}: not a known part, not a path, and the hub says:"
            f" {_line(error)}"
        ) from error


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _without_bars() -> contextlib.redirect_stderr[io.StringIO]:
    """Keep the progress bars of transformers off the terminal; our own note takes their place."""
    return contextlib.redirect_stderr(io.StringIO())
