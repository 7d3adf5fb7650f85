"""Folders as hubs keep them give without transformers what transformers makes of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.language_model import LanguageModel, find_language_model
from duplex_agent.llm.sources.hub_folder import HubFolder
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.train.llm.tiny_model import Kind, write_tiny_llm

TEXTS = (
    "Good morning, how are you?",
    "It's 3.50 o'clock — naïve\tcafé… 日本 <b>\r\n  x=10**6 don't  ",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|>",
    "",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_llm(tmp_path / "model", "llama")


def with_transformers(folder: Path) -> LanguageModel:
    return LanguageModel(str(folder), folder)


def assert_same_parameters(folder: Path) -> None:
    found, wanted = HubFolder(folder), with_transformers(folder).transformers_model
    for name, parameter in wanted.named_parameters():
        array = found.parameter(name)
        assert array is not None, name
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, parameter.numpy())
    assert found.parameter("model.layers.9.mlp.up_proj.weight") is None
    np.testing.assert_array_equal(found.embedding(), wanted.get_input_embeddings().weight.numpy())


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_parameters_are_the_models(tmp_path: Path, kind: Kind) -> None:
    folder = write_tiny_llm(tmp_path, kind)
    assert HubFolder(folder).supported
    assert_same_parameters(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_several_files_is_read_too(folder: Path, dtype: torch.dtype) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert_same_parameters(folder)


def test_the_tokenizer_gives_the_ids_of_transformers(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    HubFolder(folder).save_tokenizer(tmp_path / "text")
    ours, theirs = (
        TextTokenizer(tmp_path / "text"),
        with_transformers(folder).transformers_tokenizer,
    )
    for text in TEXTS:
        wanted = theirs(text, add_special_tokens=False).input_ids
        assert ours.encode_markup(text) == wanted
        assert ours.decode(wanted) == theirs.decode(wanted)
    settings = ours.settings
    assert settings.chat_template == theirs.chat_template
    assert (settings.bos_token, settings.eos_token) == (theirs.bos_token, theirs.eos_token)
    assert settings.special_ids == (0, 1, 2)


def test_older_files_that_keep_everything_in_the_tokenizer_s_settings(
    folder: Path, tmp_path: Path
) -> None:
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    settings = {
        "chat_template": [
            {"name": "other", "template": "x"},
            {"name": "default", "template": template},
        ],
        "bos_token": {"content": "<|im_start|>", "special": True},
        "eos_token": "<|im_end|>",
        "pad_token": "not in the vocabulary",
        "add_bos_token": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    # A token with a role is special, also if tokenizer.json does not say so.
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["id"] == 0]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "text").mkdir()
    HubFolder(folder).save_tokenizer(tmp_path / "text")
    ours = TextTokenizer(tmp_path / "text")
    assert ours.settings.chat_template == template
    assert (ours.settings.bos_token, ours.settings.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert ours.settings.special_ids == (0, 1, 2)
    assert ours.encode_markup("<|im_start|>") == [1]
    assert len(ours) == 400


@pytest.mark.parametrize(
    ("rope", "wanted"),
    [
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, (None, 5e5)),
        ({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}}, ("linear", 5e5)),
        ({"rope_theta": 5e5, "rope_scaling": None}, (None, 5e5)),
    ],
)
def test_sizes_are_those_of_the_configuration(
    folder: Path, rope: dict[str, object], wanted: tuple[str | None, float]
) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    (folder / "config.json").write_text(json.dumps(config | rope))
    spec = HubFolder(folder).spec
    assert (spec.layers, spec.width, spec.heads, spec.kv_heads) == (2, 32, 2, 1)
    assert (spec.head_dim, spec.ff_width, spec.vocab, spec.tied) == (16, 64, 400, True)
    kind = spec.rope.get("rope_type")
    assert (None if kind == "default" else kind, spec.rope["rope_theta"]) == wanted


def test_what_the_graph_cannot_be_is_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for change, named in (
        ({"model_type": "qwen2"}, "qwen2"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "yarn"),
        ({"mlp_bias": True}, "mlp bias"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ThinkerError, match=named):
            _ = HubFolder(folder).spec
    del config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ThinkerError, match="hidden_size"):
        _ = HubFolder(folder).spec


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    (tmp_path / "text").mkdir()
    parts = HubFolder(folder)
    with pytest.raises(ThinkerError, match=name):
        _ = parts.spec, parts.embedding(), parts.save_tokenizer(tmp_path / "text")


def test_other_files_are_left_to_transformers(folder: Path) -> None:
    model = with_transformers(folder).transformers_model
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    assert not HubFolder(folder).supported
    found = find_language_model(str(folder)).parts.parameter("model.norm.weight")
    np.testing.assert_array_equal(found, model.model.norm.weight.numpy())
