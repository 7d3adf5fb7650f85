"""The sizes of a Llama-architecture model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duplex_agent.errors import ThinkerError

_STATIC_ROPE = {None, "default", "linear", "llama3"}
_MAX_POSITIONS = 16_384  # rows of the rotation tables; 2 x 2 MB at a head size of 64


@dataclass(frozen=True)
class LlamaSpec:
    """The sizes of one model, read from its Hugging Face configuration."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    ff_width: int
    vocab: int
    norm_eps: float
    positions: int
    tied: bool
    rope: dict[str, Any]  # parameters of the rotation, as transformers names them

    @property
    def middle_layer(self) -> int:
        """Number of layers below the hidden state that the graph gives out."""
        return self.layers // 2

    @property
    def max_length(self) -> int:
        """The longest conversation the graph can hold."""
        return min(self.positions, _MAX_POSITIONS)


def read_spec(config: Mapping[str, Any]) -> LlamaSpec:
    """Take the sizes from a model's `config.json`; ThinkerError if the graph cannot be it."""
    kind = config.get("model_type", "unknown")
    if kind != "llama":
        raise ThinkerError(
            f"the onnx backend knows llama models, not {kind!r}: use backend='transformers'"
        )
    try:
        return _llama_spec(config)
    except KeyError as error:
        raise ThinkerError(f"the model's config.json lacks {error}") from error


def _llama_spec(config: Mapping[str, Any]) -> LlamaSpec:
    rope = _rope(config)
    layers = config["num_hidden_layers"]
    activation = config.get("hidden_act", "silu")
    unsupported = [
        ("activation", activation, activation != "silu"),
        ("rope type", rope.get("rope_type"), rope.get("rope_type") not in _STATIC_ROPE),
        ("support for layer counts below 2, here", layers, layers < 2),
        ("mlp bias", True, bool(config.get("mlp_bias"))),
    ]
    for what, value, bad in unsupported:
        if bad:
            raise ThinkerError(
                f"the onnx backend has no {what} {value!r}: use backend='transformers'"
            )
    width, heads = config["hidden_size"], config["num_attention_heads"]
    return LlamaSpec(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or width // heads,
        ff_width=config["intermediate_size"],
        vocab=config["vocab_size"],
        norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        positions=config["max_position_embeddings"],
        tied=bool(config.get("tie_word_embeddings", False)),
        rope=rope,
    )


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the rotation; older files name them otherwise and hold the base apart."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if "type" in rope:
        rope.setdefault("rope_type", rope.pop("type"))
    if "rope_theta" in config:
        rope.setdefault("rope_theta", config["rope_theta"])
    return rope
