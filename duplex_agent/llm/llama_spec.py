"""The sizes of a Llama-architecture model."""

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


def read_spec(config: Any) -> LlamaSpec:
    """Take the sizes from a transformers configuration; ThinkerError if the graph cannot be it."""
    kind = getattr(config, "model_type", "unknown")
    if kind != "llama":
        raise ThinkerError(
            f"the onnx backend knows llama models, not {kind!r}: use backend='transformers'"
        )
    rope = dict(getattr(config, "rope_parameters", None) or {})
    layers = config.num_hidden_layers
    unsupported = [
        ("activation", config.hidden_act, config.hidden_act != "silu"),
        ("rope type", rope.get("rope_type"), rope.get("rope_type") not in _STATIC_ROPE),
        ("support for layer counts below 2, here", layers, layers < 2),
        ("mlp bias", True, bool(getattr(config, "mlp_bias", False))),
    ]
    for what, value, bad in unsupported:
        if bad:
            raise ThinkerError(
                f"the onnx backend has no {what} {value!r}: use backend='transformers'"
            )
    heads = config.num_attention_heads
    return LlamaSpec(
        layers=layers,
        width=config.hidden_size,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        ff_width=config.intermediate_size,
        vocab=config.vocab_size,
        norm_eps=float(config.rms_norm_eps),
        positions=config.max_position_embeddings,
        tied=bool(config.tie_word_embeddings),
        rope=rope,
    )
