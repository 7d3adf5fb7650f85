"""The thinker on the pretrained model that the product ships with."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from duplex_agent import assets
from duplex_agent.llm.chat import ChatFormat, chat_format
from duplex_agent.llm.language_model import LanguageModel, find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL, embedding_table, load_thinker, shipped_thinker
from duplex_agent.llm.thinker import Thinker

pytestmark = pytest.mark.assets

QUESTIONS = [
    "What is the capital of France?",
    "How many legs does a spider have?",
    "Who wrote Romeo and Juliet?",
    "What should I cook tonight?",
    "Why is the sky blue?",
    "What is two plus two?",
    "I feel sad today.",
    "Can you recommend a good book?",
    "How do I make tea?",
    "What color is grass?",
    "Tell me a story.",
    "What day comes after Monday?",
    "Where do fish live?",
    "Thank you very much!",
    "How old is the earth?",
    "What do you know about 1999?",
    "Is it going to rain?",
    "Name an animal that can fly.",
    "What's the opposite of hot?",
    "Good morning, how are you?",
]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return find_language_model(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def exact() -> Thinker:
    return load_thinker(backend="onnx-fp32")


@pytest.fixture(scope="module")
def chat(exact: Thinker) -> ChatFormat:
    return chat_format(exact.tokenizer, examples=())


def asked(thinker: Thinker, chat: ChatFormat, question: str) -> list[int]:
    """Ids of a conversation that waits for the answer to one question."""
    return [*chat.system, *chat.user_begin, *thinker.tokenizer.encode(question), *chat.user_end]


def answer(thinker: Thinker, chat: ChatFormat, question: str, count: int) -> list[int]:
    """Greedy ids of the reply to one question."""
    state = thinker.new_state()
    step = thinker.append(state, thinker.embed(asked(thinker, chat, question)))
    ids: list[int] = []
    while len(ids) < count:
        ids.append(int(step.logits.argmax()))
        if ids[-1] in chat.stop_ids:
            break
        step = thinker.append(state, thinker.embed(ids[-1:]))
    return ids


def test_greedy_text_equals_transformers(
    exact: Thinker, chat: ChatFormat, model: LanguageModel
) -> None:
    import torch

    torch.set_num_threads(1)
    reference = model.transformers_model
    for question in QUESTIONS:
        ours = answer(exact, chat, question, 24)
        told = torch.tensor([asked(exact, chat, question) + ours[:-1]])
        # One pass over prompt and reply gives what transformers would have said at each point.
        with torch.inference_mode():
            logits = reference(told, logits_to_keep=len(ours)).logits
        assert ours == logits[0].argmax(-1).tolist(), question


def test_tokens_equal_transformers(exact: Thinker, model: LanguageModel) -> None:
    text = " ".join(QUESTIONS) + "\n\n It's 3.50 o'clock — naïve\tcafé… 日本 <b>\r\n  x=10**6 don't"
    reference = model.transformers_tokenizer
    ids = exact.tokenizer.encode(text)
    assert ids == reference(text, add_special_tokens=False).input_ids
    assert exact.tokenizer.decode(ids) == text == reference.decode(ids)
    turn = "<|im_start|>user\nHi<|im_end|>\n"
    assert exact.tokenizer.encode_markup(turn) == reference(turn).input_ids
    assert exact.tokenizer.settings.special_ids == tuple(range(17))


def test_embedding_table_is_the_models(model: LanguageModel) -> None:
    table = embedding_table()
    weight = model.transformers_model.get_input_embeddings().weight.numpy()
    np.testing.assert_array_equal(table, weight)


def test_int8_mostly_says_what_fp32_says(exact: Thinker, chat: ChatFormat) -> None:
    quick = load_thinker()
    divergences, same = [], []
    for question in QUESTIONS[:6]:
        prompt = asked(exact, chat, question)
        reply = answer(exact, chat, question, 12)
        steps = []
        for thinker in (exact, quick):
            state = thinker.new_state()
            first = thinker.append(state, thinker.embed(prompt))
            rest = [thinker.append(state, thinker.embed([i])) for i in reply]
            steps.append(np.stack([s.logits for s in (first, *rest)]).astype(np.float64))
        wanted, got = (x - np.logaddexp.reduce(x, axis=-1, keepdims=True) for x in steps)
        divergences += (np.exp(wanted) * (wanted - got)).sum(-1).tolist()
        same += (wanted.argmax(-1) == got.argmax(-1)).tolist()
    assert np.mean(divergences) < 0.02
    assert np.mean(same) > 0.9


def test_preparing_and_running_it_needs_none_of_the_packages_of_training(tmp_path: Path) -> None:
    code = """
import sys
from duplex_agent.llm.load import shipped_thinker
thinker = shipped_thinker()
step = thinker.append(thinker.new_state(), thinker.embed(thinker.tokenizer.encode("Good day")))
print(*step.logits.argsort()[-3:])
print(sorted({"torch", "transformers", "gguf", "accelerate"} & set(sys.modules)))
"""
    place = {
        "DUPLEX_ASSETS_DIR": str(tmp_path),
        "DUPLEX_ASSET_SMOLLM2_135M_INSTRUCT": str(assets.path(DEFAULT_MODEL)),
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    likeliest, heavy = done.stdout.splitlines()
    thinker = shipped_thinker()
    ids = thinker.tokenizer.encode("Good day")
    step = thinker.append(thinker.new_state(), thinker.embed(ids))
    assert likeliest == " ".join(map(str, step.logits.argsort()[-3:]))
    assert heavy == "[]"
