"""A language model in a folder of a hub: config.json, safetensors and tokenizer.json."""

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import ml_dtypes  # noqa: F401  numpy, and so safetensors, then knows bfloat16
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.llama_spec import LlamaSpec, read_spec
from duplex_agent.llm.sources.hub_tokenizer import read_object, save_hub_tokenizer

_WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_CONFIG: Final = "config.json"
_EMBEDDING: Final = "model.embed_tokens.weight"


class HubFolder:
    """Sizes, parameters and tokenizer of a model, read without transformers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def supported(self) -> bool:
        """Whether this reader knows the files; if not, transformers may.

        Raises ThinkerError if a file is damaged.
        """
        return (self._folder / _CONFIG).is_file() and _EMBEDDING in self._files

    @cached_property
    def spec(self) -> LlamaSpec:
        """The sizes; ThinkerError if the model is not of Llama's architecture."""
        return read_spec(read_object(self._folder / _CONFIG))

    def parameter(self, name: str) -> NDArray[np.float32] | None:
        """One parameter, float32; None if the model has none such."""
        file = self._files.get(name)
        return None if file is None else np.asarray(file.get_tensor(name), np.float32)

    def embedding(self) -> NDArray[np.float32]:
        """The input embedding table, float32 [vocabulary, width]."""
        table = self.parameter(_EMBEDDING)
        assert table is not None
        return table

    def save_tokenizer(self, folder: Path) -> None:
        """Write the tokenizer for `TextTokenizer(folder)`; ThinkerError if there is none."""
        save_hub_tokenizer(self._folder, folder)

    @cached_property
    def _files(self) -> dict[str, Any]:
        """Parameter name -> the open file that holds it."""
        if (self._folder / _WEIGHTS).is_file():
            files = {_WEIGHTS}
        elif (self._folder / _INDEX).is_file():
            files = set(read_object(self._folder / _INDEX).get("weight_map", {}).values())
        else:
            return {}
        found: dict[str, Any] = {}
        for name in sorted(files):
            try:
                file = safe_open(self._folder / name, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise ThinkerError(f"{self._folder / name} cannot be read: {error}") from error
            found |= dict.fromkeys(file.keys(), file)
        return found
