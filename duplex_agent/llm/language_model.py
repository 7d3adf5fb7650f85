"""Where a language model comes from: a pretrained part, a GGUF file, a folder, or a hub name."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.assets.cache import expanded
from duplex_agent.errors import ThinkerError
from duplex_agent.llm.llama_spec import LlamaSpec
from duplex_agent.llm.sources.gguf_llama import GgufLlama
from duplex_agent.llm.sources.hub_folder import HubFolder
from duplex_agent.llm.sources.with_transformers import WithTransformers

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
        """The model's sizes, parameters and tokenizer, by the lightest reader that knows it."""
        quick = GgufLlama(self.folder / self.gguf) if self.gguf else HubFolder(self.folder)
        return quick if quick.supported else self._with_transformers

    @property
    def transformers_model(self) -> Any:
        """The transformers model in fp32 evaluation mode; ThinkerError if it cannot be read."""
        return self._with_transformers.model

    @property
    def transformers_tokenizer(self) -> Any:
        """The transformers tokenizer; ThinkerError if the model has none that can be read."""
        return self._with_transformers.tokenizer

    @cached_property
    def _with_transformers(self) -> WithTransformers:
        return WithTransformers(self.name, self.folder, self.gguf)


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
