"""What clients ask of a session between two ticks, and what it says was played."""

import numpy as np
import pytest
from scripted_parts import ANSWER, QUESTION, SYSTEM, Conversation, agent, user
from scripted_user import say

from duplex_agent.clock import TICK_MS
from duplex_agent.errors import TextError


def test_a_reply_that_is_asked_for_answers_what_was_written() -> None:
    talk = Conversation()
    talk.session.add_text_turn("user", "more cake")
    talk.hear(say(rest=2))
    talk.session.respond()
    talk.hear(say(rest=40))
    answer = "You said more cake and that is turn 1 of ours."
    assert talk.of_type("reply.done")[0]["heard_text"] == answer
    assert talk.context() == SYSTEM + user("more cake") + agent(answer)
    assert talk.of_type("user.turn_ended")[0]["reason"] == "a client asked for a reply"


def test_a_reply_that_is_asked_for_ends_the_turn_that_is_being_spoken() -> None:
    talk = Conversation()
    talk.hear(say("tell", "", "me", "", "more", rest=1))
    talk.session.respond()
    talk.hear(say(rest=40))
    assert talk.of_type("user.turn_ended")[0]["text"] == "tell me more"
    assert talk.of_type("reply.done")[0]["heard_text"] == ANSWER
    assert len(talk.of_type("reply.done")) == 1


def test_a_cancelled_reply_is_remembered_as_far_as_it_was_heard() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=5))
    talk.session.cancel()
    talk.hear(say(rest=1))
    assert talk.of_type("reply.done") == [
        {"reply_id": 1, "status": "cancelled", "heard_text": "You said tell"}
    ]
    assert len(talk.of_type("playback.flush")) == 1
    talk.hear(say(rest=20))
    assert not np.any(talk.sound[-20:])
    assert talk.context() == SYSTEM + user(" tell me more") + agent("You said tell")
    talk.hear(QUESTION + say(rest=40))
    assert "turn 2" in str(talk.of_type("reply.done")[1]["heard_text"])


def test_cancelling_without_a_reply_changes_nothing() -> None:
    quiet, asked = Conversation(), Conversation()
    asked.session.cancel()
    for talk in (quiet, asked):
        talk.hear(QUESTION + say(rest=40))
    assert [e.to_json() for e in quiet.events] == [e.to_json() for e in asked.events]


def test_the_latest_reply_is_cut_to_what_the_listener_says_was_heard() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=40))
    assert talk.session.truncate(1, heard_ms=4 * TICK_MS) == "You said"  # two ticks a word
    talk.hear(say(rest=1))
    assert talk.context() == SYSTEM + user(" tell me more") + agent("You said")
    assert talk.session.pairs[0].agent == "You said"
    assert talk.session.truncate(1, heard_ms=0) == ""
    talk.hear(say(rest=1))
    assert talk.context() == SYSTEM + user(" tell me more") + agent("")


def test_a_reply_is_cut_behind_which_a_turn_stands_already() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=40))
    talk.session.add_text_turn("user", "more cake")
    talk.hear(say(rest=20))
    talk.session.truncate(1, heard_ms=4 * TICK_MS)
    talk.hear(say(rest=1))
    told = SYSTEM + user(" tell me more") + agent("You said") + user("more cake")
    assert talk.context() == told


def test_a_reply_is_cut_although_another_was_begun_in_a_pause() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=40) + say("tell", "", "", rest=4))
    assert talk.context().endswith("<|im_start|>assistant\nYou said tell")
    talk.session.truncate(1, heard_ms=4 * TICK_MS)
    talk.hear(say(rest=1))
    said = SYSTEM + user(" tell me more") + agent("You said") + user(" tell")
    assert talk.context() == said + "<|im_start|>assistant\n"  # begun afresh


def test_no_reply_can_be_cut_while_the_next_one_is_spoken() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=40) + QUESTION)
    with pytest.raises(TextError, match="reply 2 is not the latest finished one"):
        talk.session.truncate(2, heard_ms=80)
    with pytest.raises(TextError, match="reply 0 is not the latest finished one"):
        Conversation().session.truncate(0, heard_ms=80)


@pytest.mark.parametrize(("reply_id", "ticks"), [(2, 40), (0, 40), (1, 5)])
def test_only_the_latest_finished_reply_can_be_cut(reply_id: int, ticks: int) -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=ticks))
    with pytest.raises(TextError, match=f"reply {reply_id} is not the latest finished one"):
        talk.session.truncate(reply_id, heard_ms=80)


def test_the_session_keeps_what_was_played_of_a_reply() -> None:
    talk = Conversation(playout_delay_ms=320)
    talk.hear(QUESTION + say(rest=7))
    talk.hear(say("stop", "wait", "why"))
    end_ms = talk.session.now_ms
    played_ms = end_ms - 320
    assert talk.session.played.heard(played_ms, 80).min() == 0.5
    assert talk.session.played.heard(end_ms, 320).max() == 0.0  # flushed before it was heard
