"""Language models by name: the agent's own, and any other that a backend can run."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.thinker import Thinker

if TYPE_CHECKING:
    from duplex_agent.runtime.onnx_session import Precision

DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_MAX_LENGTH = 2048

Backend = Literal["onnx-int8", "onnx-fp32", "transformers"]


def load_thinker(
    name: str = DEFAULT_MODEL,
    backend: Backend = "onnx-int8",
    max_length: int = DEFAULT_MAX_LENGTH,
    lora: Path | None = None,
) -> Thinker:
    """Load a language model by pretrained part, path, or hub name.

    The onnx backends run Llama-architecture models on one CPU thread from files that are prepared
    once and cached; "transformers" runs any `AutoModelForCausalLM`, slowly, and needs the packages
    of training. The low-rank change in the file `lora` is merged into the weights first.
    Raises ThinkerError or AssetError if the model cannot be had or the backend cannot run it,
    CheckpointError if `lora` is corrupt or was trained on another model.
    """
    from duplex_agent.llm.language_model import find_language_model
    from duplex_agent.llm.lora import load_lora

    if max_length < 1:
        raise ThinkerError(f"a context of {max_length} positions is too short")
    change = None if lora is None else load_lora(lora)
    model = find_language_model(name)
    if backend == "transformers":
        try:
            from duplex_agent.llm.thinker_transformers import TransformersThinker
        except ModuleNotFoundError as error:
            raise ThinkerError(
                f"backend 'transformers' needs {error.name}, which is not installed:"
                " make setup-train, or pip install 'duplex-agent[train]'"
            ) from error

        return TransformersThinker(model, max_length, change)
    if backend in ("onnx-int8", "onnx-fp32"):
        from duplex_agent.llm.thinker_onnx import OnnxThinker

        precision: Precision = "int8" if backend == "onnx-int8" else "fp32"
        return OnnxThinker(model, precision, max_length, change)
    raise ThinkerError(f"no backend {backend!r}: onnx-int8, onnx-fp32 or transformers")


def shipped_thinker() -> Thinker:
    """The agent's own: the default language model with the spoken style it was taught.

    Raises ThinkerError, AssetError or CheckpointError.
    """
    from duplex_agent.llm.lora import DEFAULT_FILE

    return load_thinker(lora=DEFAULT_FILE)


def embedding_table(name: str = DEFAULT_MODEL) -> NDArray[np.float32]:
    """Input embeddings of a model, float32 [vocabulary, width], read-only and mapped from disk."""
    from duplex_agent.llm.language_model import find_language_model
    from duplex_agent.llm.prepared import prepared_text

    return prepared_text(find_language_model(name)).embedding
