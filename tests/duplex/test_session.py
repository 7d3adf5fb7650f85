"""The tick: turns, replies, barge-in, memory and errors, read off small scripted parts."""

import numpy as np
import pytest
from scripted_parts import ANSWER, QUESTION, SYSTEM, Conversation, agent, user
from scripted_user import say

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.events import EVENT_TYPES
from duplex_agent.duplex.floor import FloorConfig
from duplex_agent.errors import AudioError
from duplex_agent.llm.sampling import Sampling


def loud(sound: list[np.ndarray]) -> list[int]:
    """Numbers of the ticks with sound in them."""
    return [number for number, pcm in enumerate(sound) if pcm.any()]


def test_a_question_is_answered_in_full_and_remembered() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=40))
    types = [event.type for event in talk.events if "delta" not in event.type]
    assert types == [
        "user.speech_started",
        "user.speech_stopped",
        "floor.changed",
        "user.turn_ended",
        "reply.started",
        "reply.done",
        "floor.changed",
    ]
    assert "".join(str(e["text"]) for e in talk.of_type("reply.text.delta")) == ANSWER
    assert "".join(str(e["text"]) for e in talk.of_type("reply.spoken.delta")) == ANSWER
    assert talk.of_type("user.turn_ended")[0]["text"] == "tell me more"
    assert talk.of_type("reply.done")[0]["heard_text"] == ANSWER
    assert talk.context() == SYSTEM + user(" tell me more") + agent(ANSWER)
    assert [(e.user, e.agent) for e in talk.session.pairs] == [(" tell me more", ANSWER)]


def test_the_answer_sounds_in_the_tick_that_ends_the_turn() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=40))
    first = loud(talk.sound)[0]
    assert first == len(QUESTION) - 1
    assert talk.of_type("reply.started")[0]["response_ms"] == 7 * TICK_MS
    words = len(ANSWER.split())
    assert loud(talk.sound) == list(range(first, first + 2 * words))


def test_every_event_has_the_fields_it_promises_and_time_only_goes_forward() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=8) + say("stop", "wait", "why", rest=60))
    assert {e.type for e in talk.events} == set(EVENT_TYPES) - {
        "error",
        "reply.left_out",
        "tick.compute",
        "user.transcript.revised",
    }
    for event in talk.events:
        assert set(event.data) == set(EVENT_TYPES[event.type])
        assert isinstance(event.at_ms, int)
    times = [event.at_ms for event in talk.events]
    assert times == sorted(times)


def test_words_that_the_ear_gives_late_are_waited_for() -> None:
    talk = Conversation(late=5)
    talk.hear(QUESTION + say(rest=40))
    assert talk.of_type("user.turn_ended")[0]["text"] == "tell me more"
    assert talk.of_type("reply.done")[0]["heard_text"] == ANSWER


def test_a_revised_word_is_replaced_everywhere() -> None:
    talk = Conversation(really={" me": " more"})
    talk.hear(say("tell", "me", "", "please", rest=40))
    assert talk.context().startswith(SYSTEM + user(" tell more please"))
    [event] = talk.of_type("user.transcript.revised")
    assert (event["text"], event["words"]) == (" me", 1)
    assert talk.of_type("user.turn_ended")[0]["text"] == "tell more please"
    assert [turn.user.strip() for turn in talk.session.pairs] == ["tell more please"]


def test_many_turns_are_remembered_in_order() -> None:
    talk = Conversation()
    for _ in range(3):
        talk.hear(QUESTION + say(rest=40))
    answers = [ANSWER.replace("1", str(number)) for number in (1, 2, 3)]
    assert [e["heard_text"] for e in talk.of_type("reply.done")] == answers
    turns = "".join(user(" tell me more") + agent(answer) for answer in answers)
    assert talk.context() == SYSTEM + turns


def test_barge_in_stops_the_sound_and_keeps_only_what_was_heard() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=7))
    before = len(talk.sound)
    fresh = talk.hear(say("stop", "wait", "why"))
    assert [e.type for e in fresh if e.type in ("playback.flush", "reply.done")] == [
        "playback.flush",
        "reply.done",
    ]
    # Two ticks go on until 240 ms of speech are certain; then 10 ms of fade, then nothing.
    assert loud(talk.sound)[-1] == before + 2
    assert not talk.sound[-1][240:].any()
    talk.hear(say(rest=4))
    assert loud(talk.sound)[-1] == before + 2
    # Voiced: 10 whole ticks of 2 per word; the eleventh was the fade.
    assert talk.of_type("reply.done")[0] == {
        "reply_id": 1,
        "status": "interrupted",
        "heard_text": "You said tell me more",
    }
    assert SYSTEM + user(" tell me more") + agent("You said tell me more") in talk.context()
    talk.hear(say(rest=60))
    assert talk.of_type("user.turn_ended")[1]["text"] == "stop wait why"
    assert "You said stop wait why" in str(talk.of_type("reply.done")[1]["heard_text"])


def test_what_was_still_on_its_way_to_the_speaker_was_not_heard() -> None:
    delayed = Conversation(playout_delay_ms=320)
    told = Conversation()
    for talk in (delayed, told):
        talk.hear(QUESTION + say(rest=7))
        talk.hear(say("stop", "wait"))
    delayed.hear(say("why"))
    told.hear(say("why"), played_ms=told.session.now_ms + TICK_MS - 320)
    for talk in (delayed, told):
        assert talk.of_type("reply.done")[0]["heard_text"] == "You said tell"


def test_a_turn_that_is_recognised_late_keeps_its_first_words() -> None:
    talk = Conversation(floor=FloorConfig(barge_in_ms=640))
    talk.hear(QUESTION + say(rest=7))
    talk.hear(say("stop", "", "wait", "", "why", "", "", "", rest=40))
    assert talk.of_type("user.turn_ended")[1]["text"] == "stop wait why"


@pytest.mark.parametrize("ticks", [1, 2])
def test_a_short_sound_over_the_reply_changes_nothing(ticks: int) -> None:
    quiet, disturbed = Conversation(), Conversation()
    quiet.hear(QUESTION + say(rest=40))
    disturbed.hear(QUESTION + say(rest=3) + say(*["why"] * ticks) + say(rest=37 - ticks))
    assert [e.to_json() for e in quiet.events] == [e.to_json() for e in disturbed.events]
    assert quiet.context() == disturbed.context()


def test_going_on_before_the_reply_is_heard_continues_the_turn() -> None:
    talk = Conversation(first_tokens_per_tick=1, late=2)
    talk.hear(QUESTION[:-1] + say("please", "stop", "why", rest=50))
    assert talk.of_type("playback.flush") == []
    assert [e["text"] for e in talk.of_type("user.turn_ended")][-1] == (
        "tell me more please stop why"
    )
    assert talk.context().count("<|im_start|>user") == 1
    assert len(talk.of_type("reply.done")) == 1


def test_the_reply_is_thought_of_in_the_pause_and_sounds_when_the_turn_is_over() -> None:
    talk = Conversation(first_tokens_per_tick=1)
    talk.hear(QUESTION[:-1])
    assert talk.context() == SYSTEM + user(" tell me more") + "<|im_start|>assistant\nYou"
    assert talk.of_type("reply.text.delta") == talk.of_type("user.turn_ended") == []
    talk.hear(say(rest=40))
    assert talk.of_type("reply.started")[0]["response_ms"] == 7 * TICK_MS
    assert "".join(str(e["text"]) for e in talk.of_type("reply.text.delta")) == ANSWER


def test_a_reply_thought_of_in_a_pause_goes_when_the_user_goes_on() -> None:
    talk = Conversation()
    talk.hear(say("tell", "", "me", rest=6))
    assert "assistant" in talk.context()
    talk.hear(say("more", "", rest=40))
    assert talk.context() == SYSTEM + user(" tell me more") + agent(ANSWER)
    assert len(talk.of_type("reply.done")) == 1


def test_noise_without_words_gets_no_reply() -> None:
    talk = Conversation()
    talk.hear(say("", "", "", "", "", rest=30))
    assert talk.of_type("reply.started") == []
    assert talk.of_type("floor.changed")[-1] == {
        "floor": "listening",
        "previous": "replying",
        "reason": "nothing understood",
    }
    assert talk.context() == SYSTEM
    talk.hear(QUESTION + say(rest=40))
    assert talk.of_type("reply.done")[0]["heard_text"] == ANSWER


def test_a_long_reply_ends_at_a_sentence_or_at_the_limit() -> None:
    talk = Conversation(max_reply_tokens=5)
    talk.hear(QUESTION + say(rest=40))
    assert talk.of_type("reply.done")[0]["heard_text"] == "You said tell me more"
    assert talk.context().endswith(agent("You said tell me more"))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(1279, np.float32),
        np.zeros((1, 1280), np.float32),
        np.full(1280, np.nan, np.float32),
        np.full(1280, np.inf, np.float32),
        np.zeros(1280, np.int16),
        [0.0] * 1280,
    ],
)
def test_a_bad_tick_is_refused_and_leaves_no_trace(bad: np.ndarray) -> None:
    clean, hurt = Conversation(), Conversation()
    ticks = QUESTION + say(rest=40)
    clean.hear(ticks)
    for number, tick in enumerate(ticks):
        if number % 7 == 3:
            with pytest.raises(AudioError) as caught:
                hurt.call.tick(bad)
            assert "\n" not in str(caught.value)
        hurt.hear([tick])
    assert [e.to_json() for e in clean.events] == [e.to_json() for e in hurt.events]
    np.testing.assert_array_equal(clean.sound, hurt.sound)


def test_the_same_seed_and_samples_give_the_same_conversation() -> None:
    ticks = QUESTION + say(rest=12) + say("stop", "wait", "why", rest=40)
    first, again = (
        [e.to_json() for e in Conversation(sampling=Sampling(temperature=0.1)).hear(ticks)]
        for _ in range(2)
    )
    assert first == again


def test_old_turns_are_dropped_before_the_context_is_full() -> None:
    talk = Conversation(max_length=220)
    kept = []
    for number in range(1, 16):
        talk.hear(QUESTION + say(rest=40))
        assert len(talk.of_type("reply.done")) == number
        turns = [user(e.user) + agent(e.agent) for e in talk.session.pairs]
        assert talk.context() == SYSTEM + "".join(turns)
        assert 220 - len(talk.thinker.tokenizer.encode(talk.context())) >= 90
        kept.append(len(turns))
    assert min(kept[3:]) >= 2


def test_a_turn_without_end_does_not_overflow_the_context() -> None:
    talk = Conversation(max_length=200)
    talk.hear(say(*["more"] * 500, rest=60))
    assert talk.of_type("reply.done")
    assert talk.session._record.length <= 200
