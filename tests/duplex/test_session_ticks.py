"""What a tick asks of the parts, and what it makes of the ear's words, tick by tick."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scripted_parts import SYSTEM, Conversation, EchoThinker, WordVoice, user
from scripted_user import Heard, LevelVad, NumberEar, Sound, ToldEar, say

from duplex_agent.clock import AGENT_TICK_SAMPLES, USER_TICK_SAMPLES
from duplex_agent.duplex import session as session_module
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.duplex.session import DuplexSession
from duplex_agent.duplex.user_audio import checked
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.run import run_one
from duplex_agent.errors import AudioError
from duplex_agent.llm.chat import SYSTEM_PROMPT
from duplex_agent.llm.requests import Append

OPENED = "<|im_start|>assistant\n"
TELL, UNSETTLED = Heard(((" tell", 1),)), Heard(settled=False)


def hear(told: dict[int, Heard], ticks: list[Sound], **config: object) -> Conversation:
    """A conversation whose ear says what it is told, after ``ticks``."""
    talk = Conversation(ear=partial(ToldEar, told), **config)
    talk.hear(ticks)
    return talk


def asked(talk: Conversation, ticks: list[Sound]) -> list[str]:
    """The kinds of the requests of these ticks."""
    talk.executor.asked.clear()
    talk.hear(ticks)
    return [type(request).__name__ for request in talk.executor.asked]


# requests


def test_a_tick_observes_then_edits_then_decodes_then_renders() -> None:
    talk = Conversation()
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", "Fork"]
    assert asked(talk, say("tell", "", "me")) == ["Detect", "Encode"] * 3
    talk.hear(say(rest=1))
    # a word: it is read in the next tick, or at once where no sound is waited for
    assert asked(talk, say(rest=1)) == ["Detect", "Encode"]
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", "Append"]
    assert talk.context() == SYSTEM + "<|im_start|>user\n tell"
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", "Append"]
    assert talk.context() == SYSTEM + "<|im_start|>user\n tell me"
    # a pause: the reply is opened, then written three tokens a tick
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", "Append"]
    assert talk.context() == SYSTEM + user(" tell me") + OPENED
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", *["Decode"] * 3]
    assert talk.context() == SYSTEM + user(" tell me") + OPENED + "You said tell"
    # the turn is over: the voice begins, then there is one token a tick
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", *["Decode"] * 3, "Render"]
    assert asked(talk, say(rest=1)) == ["Detect", "Encode", "Decode", "Render"]


def test_the_ear_is_told_once_that_its_words_are_being_answered() -> None:
    talk = Conversation(max_reply_tokens=1)
    talk.hear(say("tell", "", "me", rest=20) + say("tell", "", "me", rest=20))
    assert isinstance(talk.ear, NumberEar)
    assert talk.ear.finalized == [10, 33]  # in the ticks behind those in which the turns ended


def test_every_reply_is_voiced_with_a_seed_of_its_own() -> None:
    talk = Conversation(max_reply_tokens=1)
    talk.hear(say("tell", "", "me", rest=20) + say("tell", "", "me", rest=20))
    assert talk.voice.seeds == [1, 2]


def test_a_session_has_defaults_for_all_but_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "default_vad", LevelVad)
    thinker, voice = EchoThinker(max_length=2_000), WordVoice()
    parts = FlowOmni(NumberEar(thinker), thinker, voice)
    for seed, given in enumerate([DuplexSession(parts), DuplexSession(parts, seed=8)]):
        assert given.snapshot("echo").instructions == SYSTEM_PROMPT
        for pcm in say("tell", "", "me", rest=7):
            run_one(given.steps(pcm), CpuExecutor(parts))
        assert voice.seeds[seed:] == [1 + 8 * seed]


def test_a_silent_tick_is_silent_sound() -> None:
    talk = Conversation()
    talk.hear(say(rest=1))
    assert (talk.sound[0].dtype, talk.sound[0].shape) == (np.float32, (AGENT_TICK_SAMPLES,))
    assert not talk.sound[0].any()


def test_what_waits_is_read_in_bounded_pieces() -> None:
    talk = Conversation(read_per_tick=2)
    talk.hear(say(rest=1))
    talk.session.add_text_turn("user", "more cake")
    talk.executor.asked.clear()
    talk.hear(say(rest=5))
    read = [r.rows for r in talk.executor.asked if isinstance(r, Append)]
    assert [sum(map(len, rows)) for rows in read] == [2, 2, 2, 1]


def test_a_reply_waits_until_what_was_heard_is_read() -> None:
    words = {8: Heard(tuple((" more", 1) for _ in range(9)))}
    talk = hear(words, say("", "", "", rest=9), read_per_tick=2)
    assert talk.of_type("user.turn_ended") == []  # two in tick 8, and in 9, 10 and 11
    talk.hear(say(rest=1))
    assert len(talk.of_type("user.turn_ended")) == 1


# words


@pytest.mark.parametrize(
    ("told", "sound", "thinks"),
    [
        ({5: TELL}, "###....", True),
        ({6: TELL}, "###....", False),  # words came in this very tick
        ({}, "###....", False),  # nothing was said
        ({5: TELL}, "######.", True),
        ({5: TELL}, "#######", False),  # speech goes on
        # What is not settled may have been a letter in the silence ...
        ({5: TELL, 6: UNSETTLED}, "###....", True),
        ({5: TELL, 6: UNSETTLED}, "######.", True),
        # ... but not after speech, or with a word.
        ({4: TELL, 5: UNSETTLED, 6: UNSETTLED}, "######.", False),
        ({5: replace(TELL, settled=False), 6: UNSETTLED}, "###....", False),
    ],
)
def test_a_reply_is_thought_of_in_a_pause_in_which_all_was_understood(
    told: dict[int, Heard], sound: str, thinks: bool
) -> None:
    ticks = [say("")[0] if mark == "#" else say(rest=1)[0] for mark in sound]
    assert (OPENED in hear(told, ticks).context()) == thinks


def test_revised_words_leave_the_transcript_together() -> None:
    told = {
        5: Heard(((" tell", 1), (" me", 1), (" more", 2))),
        8: Heard(((" please", 2),), revised=2),
    }
    talk = hear(told, say("", "", "", rest=5))
    assert OPENED in talk.context()
    talk.hear(say(rest=1))
    assert talk.of_type("user.transcript.revised") == [{"text": " me more", "words": 2}]
    assert talk.context() == SYSTEM + "<|im_start|>user\n tell please"


def test_a_word_that_is_only_revised_ends_the_reply_that_was_begun() -> None:
    told = {5: Heard(((" tell", 1), (" me", 1))), 8: Heard(revised=1)}
    talk = hear(told, say("", "", "", rest=5))
    assert talk.context().endswith(user(" tell me") + OPENED + "You said tell")
    talk.hear(say(rest=1))
    assert talk.context() == SYSTEM + user(" tell") + OPENED


def test_a_word_of_many_tokens_is_revised_as_a_whole() -> None:
    told = {5: Heard(((" tell me", 1), (" more", 2))), 7: Heard(revised=2)}
    talk = hear(told, say("", "", "", rest=5))
    assert talk.context() == SYSTEM + "<|im_start|>user\n"


@pytest.mark.parametrize(("room", "taken"), [(5, 3), (4, 2), (3, 2), (2, 1), (0, 0)])
def test_words_that_would_leave_the_reply_no_room_are_not_taken(room: int, taken: int) -> None:
    words = ((" tell", 1), (" tell me", 1), (" me more", 2))  # 1, 2 and 2 tokens
    talk = hear(
        {5: Heard(words)},
        say("", "", "", rest=4),
        max_length=100 + 8 + room,  # behind the system prompt
        turn_positions=100,
        reply_positions=100,
    )
    assert len(talk.of_type("user.transcript.delta")) == taken


def test_a_turn_takes_words_until_the_reply_has_just_its_room() -> None:
    talk = Conversation(max_length=200)
    talk.hear(say(*["more"] * 500, rest=60))
    words = talk.of_type("user.turn_ended")[0]["text"].split()
    # 8 positions of the system prompt, 3 of markup, 40 for the reply
    assert len(words) == 200 - 8 - 3 - 40


# samples


def test_samples_are_clipped_and_made_single_precision() -> None:
    pcm = np.zeros(USER_TICK_SAMPLES)
    pcm[:4] = [1.5, -1.5, 0.5, -0.5]
    good = checked(pcm)
    assert good.dtype == np.float32
    assert good[:5].tolist() == [1.0, -1.0, 0.5, -0.5, 0.0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(7, np.float32), r"a tick takes float samples \[1280\], got \(7,\)"),
        ([0.0] * 1280, r"a tick takes float samples \[1280\], got list"),
        (np.zeros(1280, np.int16), "a tick takes float samples in -1..1, got int16"),
        (np.r_[np.zeros(1279), np.nan], "a tick holds NaN or infinite samples"),
        (np.r_[np.zeros(1279), -np.inf], "a tick holds NaN or infinite samples"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(bad: Sound, message: str) -> None:
    with pytest.raises(AudioError, match=f"^{message}$"):
        checked(bad)
