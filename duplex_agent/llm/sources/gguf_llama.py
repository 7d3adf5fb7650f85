"""A Llama model inside a GGUF file, under the names and in the layout of Hugging Face.

Reading it directly instead of through transformers turns the first start from half a minute and
more than a gigabyte into seconds.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.llama_spec import LlamaSpec
from duplex_agent.llm.sources.gguf_file import GgufFile
from duplex_agent.llm.text_tokenizer import TextSettings, write_tokenizer

_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
_CONTROL_TOKEN = 3  # token type of GGUF: a token that is never text


class GgufLlama:
    """Sizes, parameters and tokenizer of a Llama GGUF."""

    def __init__(self, path: Path) -> None:
        self._file = GgufFile(path)
        self._settings = self._file.settings

    @property
    def supported(self) -> bool:
        """Whether this reader knows the file; if not, transformers may."""
        return (
            self._settings.get("general.architecture") == "llama"
            and self._settings.get("tokenizer.ggml.model") == "gpt2"
            and self._file.is_readable
            and "rope_freqs.weight" not in self._file
            and "llama.rope.scaling.type" not in self._settings
        )

    @cached_property
    def spec(self) -> LlamaSpec:
        """The sizes; ThinkerError if a setting is missing."""
        try:
            width, heads = self._get("embedding_length"), self._get("attention.head_count")
            return LlamaSpec(
                layers=self._get("block_count"),
                width=width,
                heads=heads,
                kv_heads=self._settings.get("llama.attention.head_count_kv", heads),
                head_dim=self._settings.get("llama.attention.key_length", width // heads),
                ff_width=self._get("feed_forward_length"),
                vocab=len(self._settings["tokenizer.ggml.tokens"]),
                norm_eps=self._get("attention.layer_norm_rms_epsilon"),
                positions=self._get("context_length"),
                tied="output.weight" not in self._file,
                rope={"rope_theta": self._settings.get("llama.rope.freq_base", 10_000.0)},
            )
        except KeyError as error:
            raise ThinkerError(f"the GGUF file lacks the setting {error}") from error

    def _get(self, name: str) -> Any:
        return self._settings[f"llama.{name}"]

    def parameter(self, name: str) -> NDArray[np.float32] | None:
        """One parameter by its Hugging Face name, float32; None if the model has none such."""
        stem, _, kind = name.rpartition(".")
        prefix = ""
        if stem.startswith("model.layers."):
            _, _, layer, stem = stem.split(".", 3)
            prefix = f"blk.{layer}."
        known = f"{prefix}{_NAMES[stem]}.{kind}" if stem in _NAMES else name
        if known not in self._file:
            return None
        array = self._file.tensor(known)
        if stem in ("self_attn.q_proj", "self_attn.k_proj"):
            return self._halves(array)
        return array

    def _halves(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """GGUF interleaves the two halves that RoPE rotates together; put them side by side."""
        head_dim = self.spec.head_dim
        pairs = array.reshape(-1, head_dim // 2, 2, *array.shape[1:])
        return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(array.shape)

    def embedding(self) -> NDArray[np.float32]:
        """The input embedding table, float32 [vocabulary, width]."""
        return self._file.tensor("token_embd.weight")

    def save_tokenizer(self, folder: Path) -> None:
        """Write the file's byte-level BPE tokenizer for `TextTokenizer(folder)`."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        get = self._settings.get
        tokens: list[str] = get("tokenizer.ggml.tokens", [])
        merges = [tuple(merge.split(" ")) for merge in get("tokenizer.ggml.merges", [])]
        kinds = get("tokenizer.ggml.token_type", [])
        bpe = models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
        tokenizer = Tokenizer(bpe)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        special = [i for i, kind in enumerate(kinds) if kind == _CONTROL_TOKEN]
        tokenizer.add_special_tokens(
            [AddedToken(tokens[i], normalized=False, special=True) for i in special]
        )
        bos, eos = (get(f"tokenizer.ggml.{which}_token_id") for which in ("bos", "eos"))
        settings = TextSettings(
            chat_template=get("tokenizer.chat_template"),
            bos_token="" if bos is None else tokens[bos],
            eos_token="" if eos is None else tokens[eos],
            special_ids=tuple(special),
        )
        write_tokenizer(tokenizer, settings, folder)
