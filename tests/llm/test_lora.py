"""A low-rank change in a file becomes part of a language model, or is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.errors import CheckpointError
from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.load import Backend, load_thinker
from duplex_agent.llm.lora import MAX_BYTES, Pair, load_lora, save_lora
from duplex_agent.runtime.checkpoint import save
from duplex_agent.train.llm.tiny_model import write_tiny_llm

RANK = 4
ROWS = np.random.default_rng(1).normal(size=(7, 32)).astype(np.float32)

Layers = dict[str, Pair]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(cache))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_llm(tmp_path_factory.mktemp("models") / "llama", "llama"))


def changes(name: str, seed: int = 0) -> Layers:
    """A change of every linear layer, as large as the weights themselves."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return 0.1 * rng.normal(size=(rows, columns)).astype(np.float32)

    model = find_language_model(name).transformers_model
    return {
        layer: (matrix(RANK, module.in_features), matrix(module.out_features, RANK))
        for layer, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and layer != "lm_head"
    }


def saved(folder: Path, name: str, layers: Layers) -> Path:
    path = folder / "style.safetensors"
    save_lora(path, layers, find_language_model(name).fingerprint, {})
    return path


def logits(name: str, backend: Backend, lora: Path | None) -> np.ndarray:
    thinker = load_thinker(name, backend, max_length=32, lora=lora)
    return thinker.append(thinker.new_state(), ROWS).logits


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_merged_logits_are_those_of_the_base_with_its_adapters(tmp_path: Path, kind: str) -> None:
    name = str(write_tiny_llm(tmp_path / kind, kind))  # type: ignore[arg-type]
    path = saved(tmp_path, name, changes(name))
    layers = load_lora(path).layers
    model = find_language_model(name).transformers_model
    for layer, (a, b) in layers.items():
        module = model.get_submodule(layer)
        down, up = torch.from_numpy(a.T), torch.from_numpy(b.T)
        module.register_forward_hook(lambda _, x, y, down=down, up=up: y + x[0] @ down @ up)
    with torch.inference_mode():
        beside = model(inputs_embeds=torch.from_numpy(ROWS)[None]).logits[0, -1].numpy()
    base = logits(name, "transformers", None)
    assert np.abs(beside - base).max() > 0.1
    backends: tuple[Backend, ...] = ("transformers", "onnx-fp32")
    for backend in backends[: 2 if kind == "llama" else 1]:
        np.testing.assert_allclose(logits(name, backend, path), beside, atol=2e-4)


def test_each_change_has_a_prepared_graph_of_its_own(tmp_path: Path, llama: str) -> None:
    one = saved(tmp_path / "one", llama, changes(llama, seed=1))
    other = saved(tmp_path / "other", llama, changes(llama, seed=2))
    files: tuple[Path | None, ...] = (None, one, other, None, one)
    plain, first, second, plain_again, first_again = (logits(llama, "onnx-int8", f) for f in files)
    assert np.abs(first - plain).max() > 0.1
    assert np.abs(second - first).max() > 0.1
    np.testing.assert_array_equal(plain_again, plain)
    np.testing.assert_array_equal(first_again, first)


@pytest.mark.parametrize("backend", ["onnx-int8", "transformers"])
def test_a_change_that_does_not_fit_is_refused(
    tmp_path: Path, llama: str, backend: Backend
) -> None:
    layers = changes(llama)
    layer = "model.layers.1.mlp.up_proj"
    a, b = layers[layer]
    wrong: dict[str, Layers] = {
        "other sizes": {**layers, layer: (a[:, :-1], b)},
        "unknown layer": {**layers, "model.layers.9.mlp.up_proj": (a, b)},
    }
    for case, bad in wrong.items():
        with pytest.raises(CheckpointError, match="changes model"):
            logits(llama, backend, saved(tmp_path / case, llama, bad))
    path = tmp_path / "foreign.safetensors"
    save_lora(path, layers, "0123456789abcdef", {})
    with pytest.raises(CheckpointError, match="another language model"):
        logits(llama, backend, path)


def test_what_is_no_lora_file_is_refused(tmp_path: Path, llama: str) -> None:
    layers = changes(llama)
    good = saved(tmp_path, llama, layers)
    torn, text, half = (tmp_path / name for name in ("torn", "text", "half"))
    torn.write_bytes(good.read_bytes()[:-100])
    text.write_text("hello")
    a, _ = layers["model.layers.0.mlp.up_proj"]
    save(half, {"model.layers.0.mlp.up_proj.lora_a": a}, {"base": "x"}, int8=False)
    large = tmp_path / "large"
    large.write_bytes(bytes(MAX_BYTES + 1))
    for path in (torn, text, half, large, tmp_path / "missing"):
        with pytest.raises(CheckpointError):
            load_thinker(llama, "onnx-int8", max_length=32, lora=path)
    wide = np.zeros((64, 60_000), np.float32)
    with pytest.raises(CheckpointError, match="6 MiB"):
        save_lora(tmp_path / "wide", {"x": (wide, wide.T)}, "x", {})
