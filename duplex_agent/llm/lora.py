"""Low-rank changes to a language model (LoRA, arXiv 2106.09685), merged into its weights on load.

The file holds ``NAME.lora_a`` [rank, in] and ``NAME.lora_b`` [out, rank] for linear layers by
their Hugging Face names; the product b a, already scaled, is what is added to ``NAME.weight``.
The merged model costs nothing at run time, and no adapter library is needed to run it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint

if TYPE_CHECKING:
    from duplex_agent.llm.language_model import LanguageModel, ModelParts
    from duplex_agent.llm.llama_spec import LlamaSpec

MAX_BYTES = 6 * 2**20
DEFAULT_FILE = checkpoint.WEIGHTS_DIR / "thinker-style.safetensors"
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
"""a [rank, in] and b [out, rank] of one layer."""
_A, _B = ".lora_a", ".lora_b"
_BASE = "base"


@dataclass(frozen=True)
class Lora:
    """A change to one language model."""

    file: Path
    base: str  # fingerprint of the model it was trained on
    layers: dict[str, Pair]  # by the layer's Hugging Face name

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change whenever a byte of the file changes."""
        return assets.sha256_of(self.file)[:16]

    def check_base(self, model: "LanguageModel") -> None:
        """Raise CheckpointError unless this was trained on ``model``."""
        if self.base != model.fingerprint:
            raise CheckpointError(
                f"{self.file} was trained on another language model than {model.name!r}"
                f" (weights {self.base}, here {model.fingerprint})"
            )

    def delta(self, layer: str, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        """What is added to the weight [out, in] of ``layer``; None where nothing is.

        Raises CheckpointError if the change has another shape.
        """
        pair = self.layers.get(layer)
        if pair is None:
            return None
        a, b = pair
        if (len(b), a.shape[1]) != shape:
            raise CheckpointError(
                f"{self.file} changes {layer} as [{len(b)}, {a.shape[1]}], the model has"
                f" {list(shape)}"
            )
        return b @ a


def save_lora(path: Path, layers: dict[str, Pair], base: str, notes: dict[str, str]) -> None:
    """Write a change (scaled already) as int8 with ``notes`` in its metadata.

    Raises CheckpointError if the file would be above 6 MiB or cannot be written.
    """
    arrays: checkpoint.Arrays = {}
    for name, (a, b) in layers.items():
        arrays |= {name + _A: a, name + _B: b}
    # int8 takes a byte per weight; the scales and small matrices in fp16 are a few per cent.
    if sum(array.size for array in arrays.values()) > MAX_BYTES:
        raise CheckpointError(f"{path} would be above 6 MiB: take a lower rank")
    checkpoint.save(path, arrays, {**notes, _BASE: base}, int8=True)


def load_lora(path: Path) -> Lora:
    """Read a change; CheckpointError if it is missing, corrupt, too large or no LoRA file."""
    if path.exists() and path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path} is larger than 6 MiB: no LoRA file of this project")
    arrays, notes = checkpoint.load(path)
    names = {name.removesuffix(_A).removesuffix(_B) for name in arrays}
    layers = {n: (arrays.get(n + _A), arrays.get(n + _B)) for n in sorted(names)}
    whole = {n: (a, b) for n, (a, b) in layers.items() if a is not None and b is not None}
    fits = all(a.ndim == b.ndim == 2 and len(a) == b.shape[1] for a, b in whole.values())
    if _BASE not in notes or not names or len(whole) < len(layers) or not fits:
        raise CheckpointError(f"{path} is no LoRA file, or a part of it is missing")
    return Lora(path, notes[_BASE], whole)


class AdaptedParts:
    """The parts of a model with a change merged into them."""

    def __init__(self, parts: "ModelParts", lora: Lora) -> None:
        self._parts, self._lora = parts, lora
        foreign = [n for n in lora.layers if parts.parameter(f"{n}.weight") is None]
        if foreign:
            raise CheckpointError(f"{lora.file} changes {foreign[0]}, which the model has not")

    @property
    def spec(self) -> "LlamaSpec":
        return self._parts.spec

    def parameter(self, name: str) -> NDArray[np.float32] | None:
        array = self._parts.parameter(name)
        layer, _, kind = name.rpartition(".")
        if array is None or kind != "weight":
            return array
        delta = self._lora.delta(layer, array.shape)
        return array if delta is None else array + delta

    def embedding(self) -> NDArray[np.float32]:
        return self._parts.embedding()

    def save_tokenizer(self, folder: Path) -> None:
        self._parts.save_tokenizer(folder)
