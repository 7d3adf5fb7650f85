"""The lists and sounds of the understanding suite, and what they do to a conversation."""

import numpy as np
import pytest
from duplex_evals.audio.music import festive
from duplex_evals.errors import ClipError
from duplex_evals.understanding.ear_clips import synthetic
from duplex_evals.understanding.quiet import converse
from duplex_evals.understanding.quiet_audio import SECONDS, STRAINS, without_english
from duplex_evals.understanding.remarks import calibrate, remarks
from duplex_evals.understanding.sentence_embedding import embed
from duplex_evals.understanding.subject import Subject
from duplex_evals.understanding.text import text_questions
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.train.data.text import held_out, normalise


def test_no_remark_and_no_question_may_be_trained_on() -> None:
    said = [text for pair in remarks() for text in pair]
    asked = [question.ask for question in text_questions()]
    assert (len(remarks()), len(asked)) == (100, 200)
    keys = {normalise(text) for text in (*said, *asked)}
    assert len(keys) == 400
    assert keys <= held_out()


def test_a_limited_run_of_the_text_set_has_questions_of_both_lists() -> None:
    assert {question.id[:2] for question in text_questions()[:8]} == {"qa", "tx"}
    assert all(question.right(question.answers[0]) for question in text_questions())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), remarks_=st.integers(12, 40))
def test_one_unrelated_pair_in_twenty_passes(seed: int, remarks_: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((2, remarks_, 8))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    found = calibrate(vectors[0].astype(np.float32), vectors[1].astype(np.float32))
    pairs = remarks_ * (remarks_ - 1) // 2
    assert len(found.unrelated) == pairs
    assert abs((found.unrelated >= found.threshold).sum() - 0.05 * pairs) <= 1
    assert found.same == pytest.approx((vectors[0] * vectors[1]).sum(-1), abs=1e-5)


@pytest.mark.assets
def test_sentences_alike_lie_closer_than_others_and_nothing_is_like_nothing() -> None:
    dog, puppy, train, empty = embed(
        ["I love my dog.", "My puppy makes me happy.", "The train was late again.", " "]
    )
    assert dog @ dog == pytest.approx(1, abs=1e-5)
    assert dog @ puppy > dog @ train + 0.2
    assert not empty.any()


def test_all_quiet_audio_fits_into_the_microphone() -> None:
    for audio in without_english():
        try:
            pcm = audio.make()
        except ClipError as missing:
            assert "install" in str(missing) or "espeak" in str(missing)  # noqa: PT017
            continue
        assert pcm.dtype == np.float32, audio.name
        assert len(pcm) == SECONDS * 16_000, audio.name
        assert np.abs(pcm).max() <= 1, audio.name
        assert np.array_equal(pcm, audio.make()), audio.name


def test_a_tune_follows_its_seed_and_has_no_gap() -> None:
    one, again, other = (festive(64_000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    loudness = np.sqrt((one.reshape(-1, 1600) ** 2).mean(1))
    assert loudness.min() > 0.01
    assert np.abs(one).max() == pytest.approx(0.5)


@pytest.mark.parametrize("name", STRAINS)
@given(seed=st.integers(0, 100), samples=st.integers(1_600, 20_000))
@settings(max_examples=10, deadline=None)
def test_a_strain_keeps_the_length_and_stays_in_range(name: str, seed: int, samples: int) -> None:
    speech = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    strained = STRAINS[name](speech)
    assert strained.shape == speech.shape
    assert np.abs(strained).max() <= 1


def test_the_ear_list_takes_turns_among_the_held_out_voices() -> None:
    assert len({spoken.voice for spoken in synthetic(None)}) == 5
    assert len(synthetic(None)) == 100


@pytest.mark.assets
def test_silence_opens_no_turn_and_a_broken_part_is_told() -> None:
    subject = Subject()
    silent = converse(subject, np.full(16_100, 0.2, np.float32))
    assert (silent["heard"], silent["opened"], silent["turns"]) == ("", 0, [])
    assert silent["error"] == ""
    assert silent["seconds"] == pytest.approx(1.04)

    class _Broken:
        look_ahead_ticks = 4

        def new_state(self):
            return None

        def step(self, state, pcm):
            raise ZeroDivisionError("deaf")

    vars(subject)["ear"] = _Broken()
    assert converse(subject, np.zeros(1280, np.float32))["error"] == "ZeroDivisionError: deaf"
