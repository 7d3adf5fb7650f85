"""Whole conversations, event by event: what a client is told, when, and in which order."""

from functools import partial

from scripted_parts import SYSTEM, Conversation, agent, user
from scripted_user import Heard, ToldEar, say, soft

from duplex_agent.duplex.floor import FloorConfig

Row = tuple[object, ...]
SILENCE = "silence for 560 ms"
BARGE_IN = "user spoke for 240 ms over the reply"


def rows(talk: Conversation) -> list[Row]:
    """Every event so far: when, what, and its values in the order of `EVENT_TYPES`."""
    return [(event.at_ms, event.type, *event.data.values()) for event in talk.events]


def test_an_answer_that_is_interrupted_event_by_event() -> None:
    talk = Conversation(max_reply_tokens=7)
    talk.hear(say(rest=2) + say("tell", "", "me", "", "more", rest=12))
    talk.hear(say("stop", "wait", "why", rest=24))
    assert rows(talk) == [
        (320, "user.speech_started", 160),
        (560, "user.transcript.delta", " tell", 160, 240),
        (720, "user.transcript.delta", " me", 320, 400),
        (880, "user.transcript.delta", " more", 480, 560),
        (1120, "user.speech_stopped", 560),
        (1120, "floor.changed", "replying", "listening", SILENCE),
        (1120, "user.turn_ended", "tell me more", 560, SILENCE),
        (1120, "reply.started", 1, 560),
        # three tokens a tick while the user pauses and until the voice begins, then one
        (1120, "reply.text.delta", 1, "You said tell me more and"),
        (1200, "reply.text.delta", 1, " that"),
        (1200, "reply.spoken.delta", 1, "You"),
        (1360, "reply.spoken.delta", 1, " said"),
        (1520, "reply.spoken.delta", 1, " tell"),
        (1680, "reply.spoken.delta", 1, " me"),
        (1760, "playback.flush", 1),
        (1760, "reply.done", 1, "interrupted", "You said tell me"),
        (1760, "user.speech_started", 1520),
        (1760, "floor.changed", "yielding", "replying", BARGE_IN),
        (1840, "floor.changed", "listening", "yielding", "interrupted"),
        (1920, "user.transcript.delta", " stop", 1520, 1600),
        (2000, "user.transcript.delta", " wait", 1600, 1680),
        (2080, "user.transcript.delta", " why", 1680, 1760),
        (2320, "user.speech_stopped", 1760),
        (2320, "floor.changed", "replying", "listening", SILENCE),
        (2320, "user.turn_ended", "stop wait why", 1760, SILENCE),
        (2320, "reply.started", 2, 560),
        (2320, "reply.text.delta", 2, "You said stop wait why and"),
        (2400, "reply.text.delta", 2, " that"),
        (2400, "reply.spoken.delta", 2, "You"),
        (2560, "reply.spoken.delta", 2, " said"),
        (2720, "reply.spoken.delta", 2, " stop"),
        (2880, "reply.spoken.delta", 2, " wait"),
        (3040, "reply.spoken.delta", 2, " why"),
        (3200, "reply.spoken.delta", 2, " and"),
        (3360, "reply.spoken.delta", 2, " that"),
        (3360, "reply.done", 2, "completed", "You said stop wait why and that"),
        (3440, "floor.changed", "listening", "replying", "said everything"),
    ]


def test_a_sound_too_short_for_a_turn_leaves_nothing() -> None:
    talk = Conversation()
    talk.hear(say("tell", "", rest=6))
    assert "assistant" in talk.context()  # an answer was begun in the pause
    talk.hear(say(rest=1))
    assert rows(talk) == [
        (160, "user.speech_started", 0),
        (400, "user.transcript.delta", " tell", 0, 80),
        (720, "user.speech_stopped", 160),
    ]
    assert talk.context() == SYSTEM
    # what is heard before the next turn is of no turn
    assert talk.hear([soft("stop"), *say(rest=8)]) == []
    talk.hear(say("tell", "", "me", "", "more", rest=7))
    assert talk.of_type("user.turn_ended")[0]["text"] == "tell me more"


def test_the_ear_is_waited_for_until_it_has_read_the_end_of_the_turn() -> None:
    talk = Conversation(floor=FloorConfig(end_silence_ms=80))
    talk.hear(say("tell", "", "", "", "", "", rest=4))
    # The turn ends with tick 5, which the ear has read in tick 9; no word is waited for.
    assert rows(talk) == [
        (160, "user.speech_started", 0),
        (400, "user.transcript.delta", " tell", 0, 80),
        (560, "user.speech_stopped", 480),
        (560, "floor.changed", "replying", "listening", "silence for 80 ms"),
        (800, "user.turn_ended", "tell", 480, "silence for 80 ms"),
        (800, "reply.started", 1, 320),
        (800, "reply.text.delta", 1, "You said tell"),
    ]


def test_a_turn_that_goes_on_while_its_last_words_are_waited_for_is_one_turn() -> None:
    talk = Conversation(late=5)
    talk.hear(say("tell", "", "me", "", "more", rest=7) + say("stop", "", "", rest=2))
    assert [row for row in rows(talk) if "transcript" not in str(row[1])] == [
        (160, "user.speech_started", 0),
        (960, "user.speech_stopped", 400),
        (960, "floor.changed", "replying", "listening", SILENCE),
        (1200, "user.speech_started", 960),
        (1200, "floor.changed", "yielding", "replying", BARGE_IN),
        (1280, "floor.changed", "listening", "yielding", "the user went on"),
    ]
    talk.hear(say(rest=9))
    assert talk.of_type("user.turn_ended") == [
        {"text": "tell me more stop", "end_ms": 1200, "reason": SILENCE}
    ]


def test_an_answer_begun_in_a_pause_is_no_answer_yet_to_a_user_who_goes_on() -> None:
    # Unsettled by a letter in the silence, the ear lets the turn end before its words are in.
    letters = {tick: Heard(settled=False) for tick in range(8, 30)}
    letters[6] = Heard((("tell", 1),))
    talk = Conversation(ear=partial(ToldEar, letters))
    talk.hear(say("", "", "", rest=8))
    assert "assistant" in talk.context()
    talk.hear(say("", "", "", rest=1))
    assert rows(talk)[2:] == [
        (800, "user.speech_stopped", 240),
        (800, "floor.changed", "replying", "listening", SILENCE),
        (1120, "user.speech_started", 880),
        (1120, "floor.changed", "yielding", "replying", BARGE_IN),
        (1200, "floor.changed", "listening", "yielding", "the user went on"),
    ]


def test_a_reply_of_which_nothing_was_heard_yet_gives_the_turn_back() -> None:
    talk = Conversation(playout_delay_ms=2_000)
    talk.hear(say("tell", "", "me", rest=9) + say("more", "", "", rest=2))
    assert rows(talk)[-6:] == [
        (1200, "playback.flush", 1),
        (1200, "reply.done", 1, "interrupted", ""),
        (1200, "user.speech_started", 960),
        (1200, "floor.changed", "yielding", "replying", BARGE_IN),
        (1280, "floor.changed", "listening", "yielding", "interrupted"),
        (1360, "user.transcript.delta", " more", 960, 1040),
    ]
    talk.hear(say(rest=30))
    assert talk.of_type("user.turn_ended")[1]["text"] == "tell me more"
    assert talk.context().startswith(SYSTEM + user(" tell me more") + "<|im_start|>assistant\nYou")
    assert talk.of_type("reply.started")[1]["reply_id"] == 2


def test_what_begins_as_a_reply_ends_is_told_with_the_reason_of_its_end() -> None:
    talk = Conversation(max_reply_tokens=1)
    talk.hear(say("tell", "", "me", rest=7) + say("stop", "wait"))
    assert rows(talk)[-3:] == [
        (880, "reply.done", 1, "completed", "You"),
        (960, "user.speech_started", 800),
        (960, "floor.changed", "listening", "replying", "said everything"),
    ]


def test_words_over_a_reply_that_did_not_interrupt_it_are_not_of_the_turn_that_did() -> None:
    talk = Conversation()
    talk.hear([*say("tell", "", "me", rest=8), *say("why", rest=4), *say("stop", "wait", "")])
    talk.hear(say(rest=20))
    assert talk.of_type("user.turn_ended")[1]["text"] == "stop wait"


def test_after_a_cancelled_reply_nothing_is_heard_before_the_next_turn() -> None:
    talk = Conversation()
    talk.hear(say("tell", "", "me", rest=12))
    talk.session.cancel()
    talk.hear(say(rest=2))
    assert talk.hear([soft("stop"), *say(rest=8)]) == []


def test_soft_words_just_before_a_turn_are_of_it() -> None:
    talk = Conversation()
    talk.hear([*say(rest=3), soft("stop"), soft("wait"), soft("why"), *say("tell", "", "")])
    talk.hear(say(rest=20))
    assert talk.of_type("user.turn_ended")[0]["text"] == "wait why tell"


def test_an_empty_reply_closes_the_turn_in_silence() -> None:
    talk = Conversation()
    talk.thinker.answer = ""
    talk.hear(say("tell", "", "me", rest=10))
    assert rows(talk)[-4:] == [
        (800, "user.speech_stopped", 240),
        (800, "floor.changed", "replying", "listening", SILENCE),
        (800, "user.turn_ended", "tell me", 240, SILENCE),
        (880, "floor.changed", "listening", "replying", "nothing to say"),
    ]
    assert talk.context() == SYSTEM + user(" tell me") + agent("")
    assert talk.session.pairs[0].agent == ""
