"""The results of how the thinker talks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from duplex_evals.content.style import (
    Answer,
    answers,
    as_heard,
    retention,
    sentence_count,
    style_results,
)

from duplex_agent.llm.chat import chat_format
from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.load import load_thinker
from duplex_agent.llm.lora import save_lora
from duplex_agent.llm.thinker import Thinker
from duplex_agent.train.data.text import held_out, normalise
from duplex_agent.train.llm.tiny_model import write_tiny_llm

PROMPTS = ["How tall is it?", "Name five animals."]


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_llm(tmp_path_factory.mktemp("model"), "llama"))


def load(name: str, lora: Path | None = None) -> Thinker:
    return load_thinker(name, "transformers", 512, lora)


def test_an_ear_gives_every_word_with_its_space() -> None:
    assert as_heard("What's the  time in Paris, please?") == " What's the time in Paris, please?"


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("Yes.", 1), ("It is 3.5 m tall. Yes!", 2), ("One. Two. And", 3), ("No end", 1)],
)
def test_sentences_are_counted_with_an_open_one_at_the_end(text: str, count: int) -> None:
    assert sentence_count(text) == count


def test_each_fault_of_a_reply_is_counted_as_its_own() -> None:
    said = [
        Answer("a", "It is 5 metres tall.", True),
        Answer("b", "- one\n- two", True),
        Answer("c", "One. Two. Three.", False),
        Answer("d", "Fine, thank you.", True),
    ]
    found = style_results(said, said[:2], right=1, prefix=30)
    shares = (found.with_digits, found.with_lists, found.over_two_sentences, found.ended_itself)
    assert shares == (0.25, 0.25, 0.25, 0.75)
    assert (found.median_words, found.longest_words, found.facts) == (3.5, 5, 2)


def test_every_prompt_is_answered_as_the_first_of_a_conversation(name: str) -> None:
    thinker = load(name)
    chat = chat_format(thinker.tokenizer)
    both = list(answers(thinker, chat, PROMPTS, heard=False, note=""))
    (second,) = answers(thinker, chat, PROMPTS[1:], heard=False, note="")
    assert both[1] == second
    assert both[0].text
    (heard,) = answers(thinker, chat, PROMPTS[1:], heard=True, note="")
    assert heard.text != second.text


def test_a_model_keeps_all_of_itself_and_less_with_a_change(name: str, tmp_path: Path) -> None:
    base = load(name)
    same = retention(base, load(name), PROMPTS)
    assert same.same_greedy_tokens == 1.0
    assert same.perplexity == pytest.approx(same.base_perplexity)
    source = find_language_model(name)
    layer = "model.layers.0.mlp.down_proj"
    path = tmp_path / "change.safetensors"
    generator = torch.Generator().manual_seed(0)
    pair = torch.randn(2, 64, generator=generator), torch.randn(32, 2, generator=generator)
    save_lora(path, {layer: (pair[0].numpy(), pair[1].numpy())}, source.fingerprint, {})
    changed = retention(base, load(name, path), PROMPTS)
    assert changed.same_greedy_tokens < 1.0
    assert changed.perplexity > changed.base_perplexity
    assert np.isfinite(changed.perplexity)


def test_the_prompts_are_kept_out_of_training() -> None:
    folder = Path(__file__).resolve().parents[3] / "evals/duplex_evals/data"
    prompts = (folder / "style_prompts.txt").read_text("utf-8").splitlines()
    assert len({normalise(prompt) for prompt in prompts} & held_out()) == len(prompts) == 50
