"""The cascade on the tick clock, with its real parts and a timer that costs the same every time."""

import itertools

import numpy as np
import pytest
from duplex_baselines.cascade import Cascade
from duplex_baselines.listening import Listener
from duplex_baselines.playback import Playback

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.duplex.events import Event
from duplex_agent.train.data.user_speech import HELD_OUT, speak

LEAD = USER_RATE_HZ // 2
SPEAKER = HELD_OUT[2]


@pytest.fixture(scope="module")
def question() -> np.ndarray:
    return speak(SPEAKER, "What is the capital of France?")


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    ticking = itertools.count()
    return Cascade("silero500", timer=lambda: 0.02 * next(ticking))


def converse(cascade: Cascade, user: np.ndarray) -> tuple[np.ndarray, list[Event]]:
    cascade.reset(seed=0)
    user = np.pad(user, (0, -len(user) % USER_TICK_SAMPLES)).astype(np.float32)
    ticks = [cascade.tick(pcm) for pcm in user.reshape(-1, USER_TICK_SAMPLES)]
    events = [e for t in ticks for e in t.events if e.type != "tick.compute"]
    return np.concatenate([t.agent_pcm for t in ticks]), events


def of(events: list[Event], type_: str) -> list[Event]:
    return [event for event in events if event.type == type_]


@pytest.mark.assets
def test_a_question_is_answered_in_words_and_the_same_way_twice(cascade, question):
    user = np.pad(question, (LEAD, 5 * USER_RATE_HZ))
    audio, events = converse(cascade, user)
    again, _ = converse(cascade, user)
    [done] = of(events, "reply.done")
    assert "Paris" in done.data["heard_text"]
    assert np.array_equal(audio, again)


@pytest.mark.assets
def test_the_cost_of_the_parts_delays_the_first_sound(cascade, question):
    user = np.pad(question, (LEAD, 5 * USER_RATE_HZ))
    audio, events = converse(cascade, user)
    [ended] = of(events, "user.turn_ended")
    # between the decision and the first sentence the timer is asked twice, 20 ms apart; sound
    # answered at a tick is heard from its end on
    first_ms = np.flatnonzero(audio)[0] * 1000 / AGENT_RATE_HZ + 80
    assert first_ms - ended.at_ms == pytest.approx(20, abs=15)


@pytest.mark.assets
def test_speech_over_the_reply_stops_it_and_only_what_was_heard_is_remembered(cascade, question):
    wait = int(1.2 * USER_RATE_HZ)
    user = np.concatenate([np.zeros(LEAD), question, np.zeros(wait), question, np.zeros(2 * wait)])
    _, events = converse(cascade, user)
    first = of(events, "reply.done")[0]
    said = of(events, "reply.text.delta")[0].data["text"]
    assert first.data["status"] == "interrupted"
    assert first.data["heard_text"]
    assert said.startswith(first.data["heard_text"])
    assert len(first.data["heard_text"]) < len(said)


@pytest.mark.assets
@pytest.mark.parametrize("stop_ms", [200, 500])
def test_a_stop_is_noticed_after_the_silence_it_waits_for(question, stop_ms):
    listener = Listener(stop_ms)
    user = np.pad(question, (LEAD, USER_RATE_HZ)).astype(np.float32)
    noticed = [
        (at / 16 + 10, change)
        for at in range(0, len(user), 160)
        for change in listener.step(user[at : at + 160])
    ]
    noticed_ms, stopped = noticed[-1]
    assert [change.started for _, change in noticed] == [True, False]
    assert stop_ms <= noticed_ms - stopped.at_ms <= stop_ms + 64
    end_ms = (LEAD + len(question)) / 16
    assert stopped.at_ms == pytest.approx(end_ms, abs=250)


def test_sentences_wait_for_their_turn_and_are_heard_by_share():
    ones = np.ones(AGENT_RATE_HZ, np.float32)
    playback = Playback()
    playback.add("One two.", ones, ready_ms=100)
    playback.add(" Three four.", ones, ready_ms=400)
    assert playback.start_ms == 100
    assert playback.end_ms == 2100
    assert playback.heard(100) == ""
    assert playback.heard(700) == "One"
    assert playback.heard(1100) == "One two."
    assert playback.heard(2100) == "One two. Three four."
    assert np.flatnonzero(playback.audio(80))[0] == 20 * 24
    assert playback.audio(1040).all()
