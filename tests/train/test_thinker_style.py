"""The thinker's spoken style: what is learnt from, and the recipe on tiny models."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.load import load_thinker
from duplex_agent.llm.lora import load_lora
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.runtime.torch_checkpoint import load
from duplex_agent.train.llm.batched import GenerationSettings, continuations, read_replies
from duplex_agent.train.llm.lora import add_adapters
from duplex_agent.train.llm.spoken_style import as_spoken
from duplex_agent.train.llm.style_data import prepare_rows
from duplex_agent.train.llm.tiny_model import write_tiny_llm
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build
from duplex_agent.train.recipes.thinker_style import (
    SMOKE_SIZES,
    ThinkerStyleRecipe,
    divergence,
    mean_of_rows,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    ("generated", "said"),
    [
        ("Rome is old. It is large. It is hot.", "Rome is old. It is large."),
        ("It began in 1969.", "It began in nineteen sixty nine."),
        (
            "About 25% of them, Dr. Smith says.",
            "About twenty five percent of them, Dr. Smith says.",
        ),
        ("Eat an apple.\nThen rest.", "Eat an apple."),
        ("1. Eggs\n2. Milk", None),
        ("You need:\n- eggs\n- milk", None),
        ("Look at **this** one.", None),
        ("See https://example.org for more.", None),
        ("It goes on without an end", None),
        ("As an AI language model, I cannot eat.", None),
        ("It is good to be good to be good to be.", None),
        (f"It is {'very ' * 30}good.", None),
    ],
)
def test_only_what_is_good_to_hear_is_learnt(generated: str, said: str | None) -> None:
    reply = as_spoken(generated)
    assert (reply.text if reply else None) == said
    if reply:
        assert reply.verbatim == generated.startswith(reply.text)


def test_divergence_is_that_of_the_listed_ids_and_one_rest() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.5, 0.1]])
    mine = torch.softmax(logits, -1)[0]
    probabilities = torch.tensor([[0.5, 0.2]])
    ids = torch.tensor([[2, 0]])
    rest = 1 - mine[2] - mine[0]
    wanted = 0.5 * (0.5 / mine[2]).log() + 0.2 * (0.2 / mine[0]).log() + 0.3 * (0.3 / rest).log()
    torch.testing.assert_close(divergence(logits, ids, probabilities)[0], wanted)
    sure = divergence(logits, torch.tensor([[3, 3]]), torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(sure[0], -mine[3].log())
    own = divergence(logits, torch.tensor([[2, 0]]), mine[[2, 0]][None])
    torch.testing.assert_close(own[0], torch.tensor(0.0), atol=1e-6, rtol=0)


def test_a_long_reply_counts_no_more_than_a_short_one() -> None:
    values, row = torch.tensor([1.0, 3.0, 10.0]), torch.tensor([0, 0, 1])
    assert mean_of_rows(values, row) == 6.0


def test_adapters_begin_as_nothing_and_leave_the_base_frozen(tmp_path: Path) -> None:
    model = find_language_model(str(write_tiny_llm(tmp_path, "qwen2"))).transformers_model
    ids = torch.arange(20)[None]
    before = model(ids).logits
    trained = [n for n, p in add_adapters(model, 2).named_parameters() if p.requires_grad]
    torch.testing.assert_close(model(ids).logits, before)
    assert len(trained) == 2 * 7 * 2
    assert all(".lora_" in name for name in trained)


def test_a_batch_writes_and_reads_what_single_rows_do(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(cache))
    name = str(write_tiny_llm(tmp_path, "llama"))
    model, thinker = (
        find_language_model(name).transformers_model,
        load_thinker(name, "onnx-fp32", 64),
    )
    prefix, rows = [5, 6, 7, 8], [[9, 10, 11], [12], [13, 14, 15, 16, 17, 18, 19, 20, 21]]
    stops = frozenset(range(100))
    generator = torch.Generator()
    together = continuations(model, prefix, rows, GenerationSettings(stops, 12), generator)
    read = list(read_replies(model, prefix, rows, together, top=5))
    assert len({len(ids) for ids in together}) > 1, "rows should end at different times"
    for row, ids, likeliest in zip(rows, together, read, strict=True):
        state = thinker.new_state()
        step = thinker.append(state, thinker.embed([*prefix, *row]))
        for position, token in enumerate(ids):
            assert int(step.logits.argmax()) == token == int(likeliest.ids[position, 0])
            probabilities = torch.log_softmax(torch.from_numpy(step.logits), -1)
            torch.testing.assert_close(
                likeliest.log_probs[position],
                probabilities[likeliest.ids[position]],
                atol=1e-3,
                rtol=0,
            )
            step = thinker.append(state, thinker.embed([token]))


@pytest.mark.assets
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_the_smoke_run_learns_and_its_weights_load(tmp_path: Path, kind: str) -> None:
    llm = str(write_tiny_llm(tmp_path / kind, kind))  # type: ignore[arg-type]
    _, config = build("thinker-style", smoke=True)
    recipe = ThinkerStyleRecipe(llm, SMOKE_SIZES, rank=4)
    last = train(recipe, config, tmp_path, out=tmp_path / "weights")
    log = (tmp_path / "thinker-style.csv").read_text().splitlines()
    assert last < 0.8 * float(log[1].split(",")[2])
    assert (
        load(tmp_path / "thinker-style.checkpoint.safetensors")[0]
        .keys()
        .isdisjoint({"model.model.embed_tokens.weight"})
    )
    path = tmp_path / "weights" / "thinker-style.safetensors"
    assert len(load_lora(path).layers) == 14
    thinker = load_thinker(llm, "transformers", 64, lora=path)
    step = thinker.append(thinker.new_state(), thinker.embed([5, 6, 7]))
    assert np.isfinite(step.logits).all()


@pytest.mark.assets
def test_rows_hold_the_prompt_without_examples_and_end_with_a_stop(tmp_path: Path) -> None:
    source = find_language_model(str(write_tiny_llm(tmp_path / "model", "llama")))
    tokenizer = prepared_text(source).tokenizer
    sizes = replace(SMOKE_SIZES, with_history=0.0)
    rows = prepare_rows(tmp_path, lambda: source.transformers_model, tokenizer, sizes, seed=3)
    again = prepare_rows(tmp_path, lambda: pytest.fail("made twice"), tokenizer, sizes, seed=3)
    spoken = [row for row in rows if row.spoken]
    lines = (tmp_path / "style-replies.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    assert len(spoken) == 2 * len(kept) > 0
    assert len(rows) - len(spoken) == sizes.anchors
    for number, line in enumerate(kept):
        generated, heard = (tokenizer.decode(r.context.tolist()) for r in spoken[2 * number :][:2])
        assert "capital of Spain" not in generated
        assert line["prompt"] in generated
        assert generated.count("<|im_start|>") == heard.count("<|im_start|>") == 3
        assert tokenizer.decode(spoken[2 * number].reply.tolist()) == f"{line['reply']}<|im_end|>"
    for row, stored in zip(rows, again, strict=True):
        np.testing.assert_array_equal(row.ids, stored.ids)
        assert (row.probabilities.sum(1) < 1.01).all()
