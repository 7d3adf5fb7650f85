"""A language model read by transformers: any architecture, for training and for comparison.

Needs the packages of the extra `train`; the running agent never comes here.
"""

import contextlib
import importlib
import io
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.llama_spec import LlamaSpec, read_spec
from duplex_agent.llm.text_tokenizer import TextSettings, write_tokenizer


class WithTransformers:
    """Model and tokenizer of transformers, and parts that share the model's memory."""

    def __init__(self, name: str, folder: Path, gguf: str | None) -> None:
        """`gguf` is the file's name in `folder` if the weights are in one."""
        self._name = name
        self._source = {"pretrained_model_name_or_path": str(folder)}
        if gguf:
            self._source["gguf_file"] = gguf

    @cached_property
    def model(self) -> Any:
        """The model in fp32 evaluation mode; ThinkerError if it cannot be read."""
        torch, transformers = self._import("torch"), self._import("transformers")
        with _without_bars():
            try:
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    **self._source, dtype=torch.float32
                )
            except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
                raise ThinkerError(
                    f"cannot load language model {self._name!r}: {_line(error)}"
                ) from error
        return model.eval().requires_grad_(False)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer; ThinkerError if the model has none that can be read."""
        transformers = self._import("transformers")
        with _without_bars():
            try:
                return transformers.AutoTokenizer.from_pretrained(**self._source)
            except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
                raise ThinkerError(
                    f"language model {self._name!r} has no tokenizer: {_line(error)}"
                ) from error

    @property
    def spec(self) -> LlamaSpec:
        """The sizes; ThinkerError if the model is not of Llama's architecture."""
        return read_spec(self.model.config.to_dict())

    def parameter(self, name: str) -> NDArray[np.float32] | None:
        """One parameter; None if the model has none such."""
        tensor = self._parameters.get(name)
        return None if tensor is None else tensor.numpy()

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        return dict(self.model.named_parameters())

    def embedding(self) -> NDArray[np.float32]:
        """The input embedding table, float32 [vocabulary, width]."""
        table: NDArray[np.float32] = self.model.get_input_embeddings().weight.numpy()
        return table

    def save_tokenizer(self, folder: Path) -> None:
        """Write the tokenizer for `TextTokenizer(folder)`; ThinkerError if it is a slow one."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ThinkerError(f"language model {self._name!r} has no fast tokenizer")
        write_tokenizer(backend, _settings_of(self.tokenizer), folder)

    def _import(self, package: str) -> Any:
        try:
            return importlib.import_module(package)
        except ImportError as error:
            raise ThinkerError(
                f"language model {self._name!r} needs {package}, which is not installed:"
                " make setup-train, or pip install 'duplex-agent[train]'"
            ) from error


def _settings_of(tokenizer: Any) -> TextSettings:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    added = tokenizer.added_tokens_decoder.items()
    special = {i for i, token in added if token.special} | set(tokenizer.all_special_ids)
    return TextSettings(
        chat_template=template,
        bos_token=tokenizer.bos_token or "",
        eos_token=tokenizer.eos_token or "",
        special_ids=tuple(sorted(special)),
    )


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _without_bars() -> contextlib.redirect_stderr[io.StringIO]:
    """Keep the progress bars of transformers off the terminal; our own note takes their place."""
    return contextlib.redirect_stderr(io.StringIO())
