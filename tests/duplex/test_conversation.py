"""Spoken conversations with the shipped parts: answered, remembered, interrupted, repeated."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from duplex_evals.audio.onset import speech_end_ms, speech_onset_ms
from numpy.typing import NDArray

from duplex_agent.audio.files import write_wav
from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.events import Event
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.engine.conversation import Conversation
from duplex_agent.engine.parts import load
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.offline.talk import TAIL_S, talk_file
from duplex_agent.train.data.user_speech import HELD_OUT, speak

pytestmark = [pytest.mark.assets, pytest.mark.timeout(600)]

Sound = NDArray[np.float32]
ASKED = "What is the capital of Italy?"
REST_S = 8.0


@pytest.fixture(scope="module")
def model() -> Iterator[FlowOmni]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load()
    torch.set_num_threads(threads)


def make_session(model: FlowOmni) -> Conversation:
    """A conversation whose replies end within ``REST_S``."""
    return Conversation(model, SessionConfig(llm=LlmSettings(max_reply_tokens=16, enough_tokens=8)))


@pytest.fixture(scope="module")
def question() -> Sound:
    """A question in a voice that was not trained on, ending with the last sound of it."""
    speaker = next(speaker for speaker in HELD_OUT if speaker.engine == "espeak")
    sound = np.pad(speak(speaker, ASKED), (USER_RATE_HZ // 2, 0))
    return sound[: speech_end_ms(sound, USER_RATE_HZ) * USER_RATE_HZ // 1000]


def converse(session: Conversation, user: Sound, rest_s: float) -> tuple[Sound, list[Event]]:
    """The agent's sound and events for ``user`` and then silence."""
    user = np.pad(user, (0, int(rest_s * USER_RATE_HZ)))
    user = np.pad(user, (0, -len(user) % USER_TICK_SAMPLES)).reshape(-1, USER_TICK_SAMPLES)
    ticks = [session.tick(pcm) for pcm in user.astype(np.float32)]
    events = [e for tick in ticks for e in tick.events if e.type != "tick.compute"]
    return np.concatenate([tick.agent_pcm for tick in ticks]), events


def of_type(events: list[Event], type_: str) -> list[Event]:
    return [event for event in events if event.type == type_]


def test_a_spoken_question_gets_a_spoken_reply_within_two_seconds(
    model: FlowOmni, question: Sound
) -> None:
    sound, events = converse(make_session(model), question, REST_S)
    asked_ms = len(question) * 1000 // USER_RATE_HZ
    onset_ms = speech_onset_ms(sound)
    assert onset_ms is not None
    assert 0 < onset_ms + TICK_MS - asked_ms <= 2_000
    assert of_type(events, "user.turn_ended")[0].data["text"]
    done = of_type(events, "reply.done")[0].data
    spoken = "".join(e.data["text"] for e in of_type(events, "reply.spoken.delta"))
    assert done["status"] == "completed"
    assert spoken.strip() == done["heard_text"]

    again, told_again = converse(make_session(model), question, REST_S)
    np.testing.assert_array_equal(sound, again)
    assert [e.to_json() for e in events] == [e.to_json() for e in told_again]


def test_an_interrupted_reply_stops_and_what_was_heard_is_remembered(
    model: FlowOmni, question: Sound
) -> None:
    session = make_session(model)
    converse(session, question, 0.0)
    started = (
        of_type(converse(session, question[:0], 0.08)[1], "reply.started") for _ in range(40)
    )
    assert any(started), "the question was not answered"
    converse(session, question[:0], 0.24)
    asked_ms = session.session.now_ms
    # The question again, over the reply, without the silence before it.
    sound, events = converse(session, question[USER_RATE_HZ // 2 :], REST_S)
    flush = of_type(events, "playback.flush")[0]
    done = of_type(events, "reply.done")
    assert [event.data["status"] for event in done] == ["interrupted", "completed"]
    heard = [event.data["heard_text"] for event in done]
    assert [pair.agent for pair in session.session.pairs] == heard
    assert all(pair.user for pair in session.session.pairs)
    ticks = sound.reshape(-1, AGENT_TICK_SAMPLES)
    flushed = (flush.at_ms - asked_ms) // TICK_MS - 1  # the tick that said so
    assert flushed <= 5
    assert not ticks[flushed][240:].any()
    again = (of_type(events, "reply.started")[0].at_ms - asked_ms) // TICK_MS - 1
    assert not ticks[flushed + 1 : again].any()


def test_a_file_gives_what_the_session_gives(
    model: FlowOmni, question: Sound, tmp_path: Path
) -> None:
    write_wav(tmp_path / "in.wav", question, USER_RATE_HZ)
    report = talk_file(tmp_path / "in.wav", tmp_path / "out.wav", tmp_path / "out.json")
    both, rate_hz = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert len(both) == round((len(question) / USER_RATE_HZ + TAIL_S) * rate_hz)
    heard, _ = soundfile.read(tmp_path / "in.wav", dtype="float32")
    live, _ = converse(Conversation(model), heard, 3.0)
    right = both[AGENT_TICK_SAMPLES:, 1]
    np.testing.assert_allclose(right[: len(live)], live, atol=1e-4)
    assert report["turns"][0]["response_ms"] is not None
