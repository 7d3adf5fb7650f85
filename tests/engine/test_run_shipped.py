"""Four spoken conversations on the shipped parts: side by side they give what each gives alone."""

import numpy as np
import pytest

from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.duplex.events import Tick
from duplex_agent.duplex.session import DuplexSession
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.parts import load
from duplex_agent.engine.run import run_many, run_one
from duplex_agent.train.data.user_speech import HELD_OUT, speak

pytestmark = [pytest.mark.assets, pytest.mark.slow, pytest.mark.timeout(600)]

SAID = ("What is your name?", "I have a cold.", "Do you like cats?", "How far is the moon?")
TICKS = 50


def ticks_of(number: int) -> list[np.ndarray]:
    speakers = [speaker for speaker in HELD_OUT if speaker.engine == "espeak"]
    speech = speak(speakers[number % len(speakers)], SAID[number])
    user = np.pad(speech, (USER_RATE_HZ // 4 * number, 0))[: TICKS * USER_TICK_SAMPLES]
    user = np.pad(user, (0, TICKS * USER_TICK_SAMPLES - len(user)))
    return list(user.astype(np.float32).reshape(TICKS, USER_TICK_SAMPLES))


def test_four_spoken_conversations_in_batches_equal_the_same_four_alone():
    parts = load()
    executor = CpuExecutor(parts)
    users = [ticks_of(number) for number in range(len(SAID))]
    alone = []
    for seed, user in enumerate(users):
        session = DuplexSession(parts, seed=seed)
        alone.append([run_one(session.steps(pcm), executor) for pcm in user])
    sessions = [DuplexSession(parts, seed=seed) for seed in range(len(SAID))]
    for number in range(TICKS):
        steps = {i: session.steps(users[i][number]) for i, session in enumerate(sessions)}
        for i, tick in run_many(steps, executor).items():
            assert isinstance(tick, Tick), tick
            np.testing.assert_array_equal(tick.agent_pcm, alone[i][number].agent_pcm)
            assert tick.events == alone[i][number].events
    assert all(any(tick.agent_pcm.any() for tick in ticks) for ticks in alone)
