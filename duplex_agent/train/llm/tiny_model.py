"""A random language model of a few thousand weights, with a tokenizer and a chat template.

It knows nothing, but it is a real model of its architecture: smoke runs and tests take the same
path with it as with a pretrained one.
"""

import random
from pathlib import Path
from typing import Any, Final, Literal

import torch

from duplex_agent.train.data.user_text import everyday

Kind = Literal["llama", "qwen2"]

_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_llm(folder: Path, kind: Kind, seed: int = 0) -> Path:
    """Write a model of two layers into ``folder`` as transformers would, and return the folder."""
    import transformers

    tokenizer = _tokenizer(seed)
    tokenizer.save_pretrained(folder)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "initializer_range": 0.2,  # far enough from even that its choices differ
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(seed)
    if kind == "llama":
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes))
    else:
        model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**sizes))
    model.save_pretrained(folder)
    return folder


def _tokenizer(seed: int) -> Any:
    """Byte-level BPE of everyday sentences, 400 ids."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([everyday(rng) for _ in range(200)], trainer)
    whole = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=_SPECIAL[1], eos_token=_SPECIAL[2]
    )
    whole.add_special_tokens({"additional_special_tokens": [_SPECIAL[0]]})
    whole.chat_template = _TEMPLATE
    return whole
