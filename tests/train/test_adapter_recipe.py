"""Recipe ``adapter`` at its smallest: both phases, interruption, and what it learns from."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.ear.encoder_config import BLANK, CHARACTERS
from duplex_agent.ear.reference.adapter import Tokens
from duplex_agent.llm.chat import chat_format
from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.runtime import torch_checkpoint
from duplex_agent.train.ear.adapter_tokens import strongest
from duplex_agent.train.ear.spelled_rows import spelled_row
from duplex_agent.train.llm.frozen_thinker import FrozenThinker
from duplex_agent.train.llm.tiny_model import write_tiny_llm
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build
from duplex_agent.train.recipes.adapter import SENTENCES_FILE
from duplex_agent.train.recipes.ear import SPEECH_FOLDER

needs_voices = pytest.mark.skipif(
    shutil.which("espeak-ng") is None or shutil.which("flite") is None,
    reason="the user voices need espeak-ng and flite",
)


@pytest.mark.assets
@pytest.mark.timeout(900)
@needs_voices
def test_the_smoke_recipe_learns_and_resumes_as_if_never_stopped(tmp_path: Path):
    recipe, config = build("adapter", smoke=True)
    train(recipe, config, tmp_path, out=tmp_path, stop_after=config.steps // 2)
    assert not (tmp_path / "adapter.safetensors").exists()
    train(build("adapter", smoke=True)[0], config, tmp_path, out=tmp_path)
    rows = list(csv.DictReader((tmp_path / "adapter.csv").open()))
    ctc = [float(row["ctc"]) for row in rows]
    assert np.mean(ctc[-3:]) < 0.8 * ctc[0]
    resumed, metadata = torch_checkpoint.load(tmp_path / "adapter.safetensors")
    assert metadata["recipe"] == "adapter"
    # Once more without a stop, on the same voices.
    straight = tmp_path / "straight"
    shutil.copytree(tmp_path / SPEECH_FOLDER, straight / SPEECH_FOLDER)
    shutil.copy(tmp_path / SENTENCES_FILE, straight)
    train(build("adapter", smoke=True)[0], config, straight, out=straight)
    uninterrupted, _ = torch_checkpoint.load(straight / "adapter.safetensors")
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[k], uninterrupted[k]) for k in resumed)


def test_characters_that_nobody_spoke_spell_the_text():
    row = spelled_row("Is it 7?", 60, np.random.default_rng(3))
    assert row is not None
    probabilities = np.exp(row.astype(np.float32))
    assert np.allclose(probabilities.sum(-1), 1, atol=0.02)
    best = [int(i) for i in row.argmax(-1).ravel()]
    merged = [
        i for i, before in zip(best, [BLANK, *best], strict=False) if i not in (BLANK, before)
    ]
    spelled = "".join(CHARACTERS[i] for i in merged).split()
    assert len(spelled) == 3
    assert len("".join(spelled)) >= len("isitseven") - 2


def test_a_text_that_is_too_long_for_its_row_is_refused():
    assert spelled_row("one two three four five six seven", 10, np.random.default_rng(0)) is None


def test_of_blanks_alone_the_least_sure_is_told():
    probabilities = torch.tensor([0.99, 0.91, 0.97])
    tokens = Tokens(torch.arange(3.0)[:, None], probabilities.log()[:, None])
    assert strongest(tokens).tolist() == [[1.0]]


def test_the_frozen_thinker_hears_embeddings_as_it_reads_ids_and_passes_gradients_on(tmp_path):
    source = find_language_model(str(write_tiny_llm(tmp_path, "llama")))
    tokenizer = prepared_text(source).tokenizer
    model = source.transformers_model
    chat = chat_format(tokenizer)
    thinker = FrozenThinker(model, chat)
    texts = ["What is the time?", "", "Where do tigers live?"]
    replies = [tokenizer.encode(text) for text in ("It is late.", "Yes.", "In a forest.")]
    heard = [thinker.embed(tokenizer.encode(text)).requires_grad_() for text in texts]
    together = thinker.expects(heard, replies)
    for text, reply, logits in zip(texts, replies, together, strict=True):
        ids = [*chat.system, *chat.user_begin, *tokenizer.encode(text), *chat.user_end, *reply]
        with torch.no_grad():
            alone = model(input_ids=torch.tensor([ids])).logits[0, -len(reply) - 1 : -1]
        assert (logits - alone).abs().max() < 1e-4
    together[0].square().sum().backward()
    assert heard[0].grad.abs().max() > 0
    assert all(p.grad is None for p in model.parameters())
