"""The ear that ships: its size, and that it understands a voice it was not trained on."""

import re
import shutil
from itertools import pairwise

import numpy as np
import pytest

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.hearing import LOOK_AHEADS, HeardWord
from duplex_agent.ear.load import WEIGHTS, load_ear
from duplex_agent.ear.streaming import StreamingEar
from duplex_agent.train.data.user_speech import HELD_OUT, speak


@pytest.fixture(scope="module", params=LOOK_AHEADS)
def ear(request: pytest.FixtureRequest) -> StreamingEar:
    return load_ear(look_ahead_ticks=request.param)


def hear(ear: StreamingEar, pcm: np.ndarray) -> list[HeardWord]:
    ticks = len(pcm) // USER_TICK_SAMPLES
    state = ear.new_state()
    sound = pcm[: ticks * USER_TICK_SAMPLES].reshape(ticks, USER_TICK_SAMPLES)
    heard = [ear.step(state, tick) for tick in sound] + ear.flush(state)
    return [word for hearing in heard for word in hearing.words]


def test_the_weights_fit_their_budget():
    assert WEIGHTS.stat().st_size <= 14 * 2**20


@pytest.mark.assets
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng makes the voice")
def test_it_understands_a_voice_it_never_heard(ear: StreamingEar):
    pcm = speak(HELD_OUT[-1], "Who was the first person to walk on the moon?")
    words = hear(ear, np.pad(pcm, (6000, 6000)))
    said = re.sub(r"[^a-z ]", "", "".join(word.text for word in words).lower()).split()
    expected = ["who", "was", "the", "first", "person", "to", "walk", "on", "the", "moon"]
    assert sum(a == b for a, b in zip(said, expected, strict=False)) >= 8
    assert all(a.last_tick <= b.last_tick for a, b in pairwise(words))
    assert words[-1].last_tick <= (6000 + len(pcm)) / USER_TICK_SAMPLES + 3


@pytest.mark.assets
def test_silence_and_hiss_say_nothing(ear: StreamingEar):
    rng = np.random.default_rng(0)
    silence = np.zeros(40 * USER_TICK_SAMPLES, np.float32)
    hiss = (0.01 * rng.standard_normal(len(silence))).astype(np.float32)
    assert not hear(ear, silence)
    assert not hear(ear, hiss)
