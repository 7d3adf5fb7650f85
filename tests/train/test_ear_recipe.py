"""Recipe ``ear`` at its smallest: voices, letters, pieces, interruption and the file that ships."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.model import checkpoint
from duplex_agent.model.ear import BLANK, CHARACTERS
from duplex_agent.train.align import align
from duplex_agent.train.heard_text import NOTHING, SpelledRows, piece_targets
from duplex_agent.train.loop import train
from duplex_agent.train.recipes import build, ear_encoder
from duplex_agent.train.text import held_out, normalise
from duplex_agent.train.user_speech import HELD_OUT, training_speaker
from duplex_agent.train.user_text import heard_form, user_sentences

needs_voices = pytest.mark.skipif(
    shutil.which("espeak-ng") is None or shutil.which("flite") is None,
    reason="the user voices need espeak-ng and flite",
)


class Spell:
    """Pieces of a toy vocabulary: one number per letter."""

    def of(self, word: str) -> tuple[int, ...]:
        return tuple(ord(c) for c in word)


def test_alignment_finds_the_frames_the_letters_were_spoken_in():
    rng = np.random.default_rng(0)
    text = rng.integers(1, len(CHARACTERS), 90)
    frames = np.cumsum(rng.integers(2, 6, 90))
    spelled = np.full((2, 450, len(CHARACTERS)), -8.0, np.float32)
    spelled[:, :, BLANK] = -0.1
    spelled[0, frames, text] = -0.05
    assert align(spelled, [text.tolist(), []]) == [frames.tolist(), []]


def test_a_text_longer_than_its_frames_has_no_alignment():
    spelled = np.zeros((1, 3, len(CHARACTERS)), np.float32)
    assert align(spelled, [[1, 2, 3, 4]]) == [[]]


def test_pieces_wait_in_line_one_a_tick():
    targets = piece_targets([("abc", 5), ("d", 9), ("e", 30)], Spell(), ticks=10)
    said = "".join("." if t == NOTHING else chr(t) for t in targets)
    assert said == ".abcd..e.."


def test_clean_spelled_rows_say_what_their_targets_say():
    rows = SpelledRows(["ab ba", "aab"], Spell(), ticks=80)
    for seed in range(20):
        spelled, targets = rows.row(np.random.default_rng(seed))
        assert np.allclose(spelled.sum(1), 1.0, atol=1e-5)
        letters = "".join(CHARACTERS[i] for i in spelled.argmax(1) if i not in (BLANK, 28))
        pieces = "".join(chr(t) for t in targets if t != NOTHING)
        # Mistakes are made in some rows only; the last word may be cut off by the row's end.
        if letters.startswith(pieces):
            assert len(pieces) >= len(letters) - 6
            break
    else:
        pytest.fail("no row without mistakes")


@pytest.mark.assets
def test_no_training_sentence_is_in_an_evaluation():
    sentences = user_sentences(5000, seed=3)
    assert len(sentences) == 5000
    assert not {normalise(s) for s in sentences} & held_out()
    assert all(set(heard_form(s)) <= set(CHARACTERS[1:]) for s in sentences)


def test_held_out_voices_do_not_train():
    import random

    rng = random.Random(0)
    styles = {name for speaker in HELD_OUT for name, _ in speaker.styles} - {"jm_kumo"}
    fixed = {speaker.voice.split("+")[-1] for speaker in HELD_OUT if speaker.engine != "kokoro"}
    for engine in ("kokoro", "flite", "espeak"):
        for _ in range(300):
            speaker = training_speaker(engine, rng)
            assert not styles & {name for name, _ in speaker.styles}
            assert speaker.voice.split("+")[-1] not in fixed


@pytest.mark.assets
@pytest.mark.timeout(900)
@needs_voices
def test_the_smoke_recipe_learns_and_resumes_as_if_never_stopped(tmp_path: Path):
    recipe, config = build("ear", smoke=True)
    train(recipe, config, tmp_path, out=tmp_path, stop_after=config.steps // 2)
    assert not (tmp_path / "ear.safetensors").exists()
    again, _ = build("ear", smoke=True)
    train(again, config, tmp_path, out=tmp_path)
    letters, pieces = (
        [float(row["loss"]) for row in csv.DictReader((tmp_path / f"{name}.csv").open())]
        for name in ("ear-encoder", "ear")
    )
    assert letters[-1] < 0.5 * letters[0]
    on_text = len(pieces) // 2
    assert pieces[on_text - 1] < 0.75 * pieces[0]
    assert pieces[-1] < 0.75 * pieces[on_text]
    resumed, metadata = checkpoint.load(tmp_path / "ear.safetensors")
    assert metadata["recipe"] == "ear"
    # The adapter once more without a stop, on the same voices and the same encoder.
    straight = tmp_path / "straight"
    straight.mkdir()
    shutil.copytree(tmp_path / ear_encoder.SPEECH_FOLDER, straight / ear_encoder.SPEECH_FOLDER)
    shutil.copy(tmp_path / ear_encoder.ENCODER_FILE, straight)
    train(build("ear", smoke=True)[0], config, straight, out=straight)
    uninterrupted, _ = checkpoint.load(straight / "ear.safetensors")
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[k], uninterrupted[k]) for k in resumed)


@pytest.mark.assets
@needs_voices
def test_the_encoder_stage_resumes_as_if_never_stopped(tmp_path: Path):
    def run(work: Path, *stops: int) -> dict[str, torch.Tensor]:
        for stop in stops:
            recipe, config = ear_encoder.build(smoke=True)
            train(recipe, replace(config, steps=8), work, out=work, stop_after=stop)
        return checkpoint.load(work / ear_encoder.ENCODER_FILE)[0]

    resumed = run(tmp_path, 3, 8)
    straight = tmp_path / "straight"
    straight.mkdir()
    shutil.copytree(tmp_path / ear_encoder.SPEECH_FOLDER, straight / ear_encoder.SPEECH_FOLDER)
    uninterrupted = run(straight, 8)
    assert all(torch.equal(resumed[k], uninterrupted[k]) for k in resumed)
