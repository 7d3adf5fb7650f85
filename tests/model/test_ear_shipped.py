"""The ear that ships: its size, and that it understands a voice it was not trained on."""

import shutil

import numpy as np
import pytest

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.model.ear_stream import WEIGHTS, EarToken, StreamingEar, load_ear
from duplex_agent.train.user_speech import HELD_OUT, speak


@pytest.fixture(scope="module")
def ear() -> StreamingEar:
    return load_ear()


def hear(ear: StreamingEar, pcm: np.ndarray) -> list[EarToken]:
    ticks = len(pcm) // USER_TICK_SAMPLES
    state = ear.new_state()
    sound = pcm[: ticks * USER_TICK_SAMPLES].reshape(ticks, USER_TICK_SAMPLES)
    return [ear.step(state, tick) for tick in sound] + ear.flush(state)


def test_the_weights_fit_their_budget():
    assert WEIGHTS.stat().st_size <= 14 * 2**20


@pytest.mark.assets
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng makes the voice")
def test_it_understands_a_voice_it_never_heard(ear: StreamingEar):
    pcm = speak(HELD_OUT[-1], "Who was the first person to walk on the moon?")
    tokens = hear(ear, np.pad(pcm, (6000, 6000)))
    said = "".join(token.piece for token in tokens).split()
    expected = ["who", "was", "the", "first", "person", "to", "walk", "on", "the", "moon"]
    assert sum(a == b for a, b in zip(said, expected, strict=False)) >= 8


@pytest.mark.assets
def test_silence_and_hiss_say_nothing(ear: StreamingEar):
    rng = np.random.default_rng(0)
    silence = np.zeros(40 * USER_TICK_SAMPLES, np.float32)
    hiss = (0.01 * rng.standard_normal(len(silence))).astype(np.float32)
    assert not any(token.heard for token in hear(ear, silence))
    assert sum(token.heard for token in hear(ear, hiss)) <= 1
