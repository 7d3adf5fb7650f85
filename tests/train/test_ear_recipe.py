"""Recipe ``ear`` at its smallest: voices, characters, interruption and the file that ships."""

import csv
import random
import shutil
from pathlib import Path

import pytest
import torch

from duplex_agent.ear.encoder_config import CHARACTERS
from duplex_agent.errors import TrainingError
from duplex_agent.runtime import torch_checkpoint
from duplex_agent.train.data.text import held_out, normalise
from duplex_agent.train.data.user_speech import HELD_OUT, HELD_OUT_NATURAL, training_speaker
from duplex_agent.train.data.user_text import heard_form, user_sentences
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build
from duplex_agent.train.recipes.ear import SPEECH_FOLDER

needs_voices = pytest.mark.skipif(
    not all(map(shutil.which, ("espeak-ng", "flite", "text2wave"))),
    reason="the user voices need espeak-ng, flite and festival",
)


@pytest.mark.assets
def test_no_training_sentence_is_in_an_evaluation():
    sentences = user_sentences(5000, seed=3)
    assert len(sentences) == 5000
    assert not {normalise(s) for s in sentences} & held_out()
    assert all(set(heard_form(s)) <= set(CHARACTERS[1:]) for s in sentences)


def test_held_out_voices_do_not_train():
    rng = random.Random(0)
    kept = (*HELD_OUT, *HELD_OUT_NATURAL)
    styles = {name for speaker in kept for name, _ in speaker.styles} - {"jm_kumo"}
    fixed = {speaker.voice.split("+")[-1] for speaker in HELD_OUT if speaker.engine != "kokoro"}
    for engine in ("kokoro", "flite", "festival", "espeak"):
        for _ in range(300):
            speaker = training_speaker(engine, rng)
            assert not styles & {name for name, _ in speaker.styles}
            assert speaker.voice.split("+")[-1] not in fixed


@pytest.mark.assets
@pytest.mark.timeout(600)
@needs_voices
def test_the_smoke_recipe_learns_and_resumes_as_if_never_stopped(tmp_path: Path):
    recipe, config = build("ear", smoke=True)
    train(recipe, config, tmp_path, out=tmp_path, stop_after=config.steps // 2)
    assert not (tmp_path / "ear.safetensors").exists()
    train(build("ear", smoke=True)[0], config, tmp_path, out=tmp_path)
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "ear.csv").open())]
    assert losses[-1] < 0.5 * losses[0]
    resumed, metadata = torch_checkpoint.load(tmp_path / "ear.safetensors")
    assert metadata["recipe"] == "ear"
    # Once more without a stop, on the same voices.
    straight = tmp_path / "straight"
    shutil.copytree(tmp_path / SPEECH_FOLDER, straight / SPEECH_FOLDER)
    train(build("ear", smoke=True)[0], config, straight, out=straight)
    uninterrupted, _ = torch_checkpoint.load(straight / "ear.safetensors")
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[k], uninterrupted[k]) for k in resumed)


def test_what_the_evaluation_asks_in_yaml_is_held_out_and_its_answers_are_not(tmp_path):
    (tmp_path / "asked.yaml").write_text(
        "- ask: Which ocean is the largest?\n  answers: [Pacific]\n"
        '- turns: [My name is Ann., "What is my name?"]\n'
    )
    assert held_out(tmp_path) == {"whichoceanisthelargest", "mynameisann", "whatismyname"}


def test_training_stops_where_there_is_nothing_to_hold_out(tmp_path):
    with pytest.raises(TrainingError, match="no evaluation sentences"):
        held_out(tmp_path)
