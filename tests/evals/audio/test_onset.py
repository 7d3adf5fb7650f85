"""The judge of the talk evaluation: speech is found where it begins, other sound is not."""

import numpy as np
import pytest
from duplex_evals.audio.hum import voice_hum
from duplex_evals.audio.onset import speech_end_ms, speech_onset_ms


def agent_audio(onset_ms: int) -> np.ndarray:
    audio = np.zeros(4 * 24_000, dtype=np.float32)
    start = onset_ms * 24
    audio[start : start + 36_000] = voice_hum(0, 36_000)
    return audio


@pytest.mark.assets
@pytest.mark.parametrize("onset_ms", [0, 710, 1_330])
def test_speech_is_found_where_it_begins(onset_ms: int) -> None:
    found = speech_onset_ms(agent_audio(onset_ms))
    assert found is not None
    assert abs(found - onset_ms) <= 60


@pytest.mark.assets
def test_speech_before_the_given_time_does_not_count() -> None:
    assert speech_onset_ms(agent_audio(500), after_ms=2_500) is None


@pytest.mark.assets
def test_silence_clicks_and_hiss_are_no_answer() -> None:
    rng = np.random.default_rng(0)
    assert speech_onset_ms(np.zeros(48_000, dtype=np.float32)) is None
    clicks = np.zeros(48_000, dtype=np.float32)
    clicks[::6_000] = 0.9
    assert speech_onset_ms(clicks) is None
    assert speech_onset_ms((0.003 * rng.standard_normal(48_000)).astype(np.float32)) is None


def test_the_end_of_a_question_is_its_last_sound() -> None:
    audio = np.zeros(48_000, dtype=np.float32)
    audio[8_000:24_000] = voice_hum(0, 16_000)
    assert abs(speech_end_ms(audio, 16_000) - 1_500) <= 30
    assert speech_end_ms(np.zeros(16_000, dtype=np.float32), 16_000) == -1
