"""Ratings and embeddings go the way they must when the sound gets worse or the voice changes."""

from functools import cache

import numpy as np
import pytest
from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.scenario import Clip
from duplex_evals.errors import EvalError
from duplex_evals.speech.intelligibility import heard_words, intelligibility
from duplex_evals.speech.quality import speech_quality
from duplex_evals.speech.speaker import consistency, similarity, speaker_embedding
from numpy.typing import NDArray

pytestmark = pytest.mark.assets
TEXT = "The train to the mountains leaves at seven in the morning."
OTHER = "We could have some soup and bread before it gets dark outside."


@cache
def speech(voice: str, text: str = TEXT) -> NDArray[np.float32]:
    return load_clip(Clip(text=text, voice=voice))


def test_noise_lowers_every_rating_but_not_the_state_of_the_random_generator() -> None:
    clean = speech("tebukuro")
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    good, bad = speech_quality(clean), speech_quality(clean + 0.05 * noise)
    assert good is not None
    assert bad is not None
    assert good.overall > bad.overall + 0.5
    assert good.background > bad.background + 0.5
    assert good.p808 > bad.p808
    assert good == speech_quality(clean)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_too_little_sound_is_not_rated_and_nan_is_refused() -> None:
    assert speech_quality(np.zeros(1000, np.float32)) is None
    with pytest.raises(EvalError, match="NaN"):
        speech_quality(np.full(16_000, np.nan, np.float32))


def test_a_voice_is_closer_to_itself_than_to_another() -> None:
    one, same, other = (
        speaker_embedding(speech(voice, text))
        for voice, text in (("rms", TEXT), ("rms", OTHER), ("tebukuro", TEXT))
    )
    assert one is not None
    assert same is not None
    assert other is not None
    assert similarity(one, same) > similarity(one, other) + 0.1
    assert consistency([one, same, other])[2] == min(consistency([one, same, other]))
    assert speaker_embedding(speech("rms")[:8000]) is None


def test_clear_speech_is_heard_as_it_was_written() -> None:
    found = intelligibility(TEXT, heard_words(speech("tebukuro")))
    assert found.words.rate < 0.2
    assert found.characters.rate <= found.words.rate
    assert intelligibility(TEXT, "").words.rate == 1.0
    assert heard_words(np.zeros(0, np.float32)) == ""
