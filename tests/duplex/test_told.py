"""Text turns and instructions in the middle of a conversation, read off the scripted parts."""

from collections.abc import Callable

import pytest
from scripted_parts import QUESTION, SYSTEM, Conversation, agent, laid_out, user
from scripted_user import say

from duplex_agent.errors import ContextFull, DuplexError, TextError


def test_text_turns_stand_in_order_and_ask_for_no_reply() -> None:
    talk = Conversation()
    talk.session.add_text_turn("user", "My cat is grey.")
    talk.session.add_text_turn("assistant", "How nice.")
    assert talk.hear(say(rest=20)) == []
    assert talk.context() == SYSTEM + user("My cat is grey.") + agent("How nice.")
    talk.hear(QUESTION + say(rest=40))
    answer = "You said tell me more and that is turn 2 of ours."
    assert talk.of_type("reply.done")[0]["heard_text"] == answer
    assert talk.context() == SYSTEM + laid_out(talk)


def test_text_during_a_reply_stands_behind_it() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=2))
    talk.session.add_text_turn("user", "Be quick.")
    talk.hear(say(rest=40))
    answer = "You said tell me more and that is turn 1 of ours."
    assert talk.context() == SYSTEM + user(" tell me more") + agent(answer) + user("Be quick.")


def test_a_reply_waits_for_text_that_came_before_its_turn() -> None:
    talk = Conversation(read_per_tick=2)
    talk.session.add_text_turn("user", " ".join(["word"] * 60))
    talk.hear(QUESTION)
    assert not talk.of_type("user.turn_ended")
    talk.hear(say(rest=60))
    spoken = "You said tell me more and that is turn 2 of ours."
    assert talk.context() == SYSTEM + user(" ".join(["word"] * 60)) + user(" tell me more") + agent(
        spoken
    )


def test_instructions_change_from_the_next_turn_on() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=3))
    talk.session.set_instructions("Be brief, be honest and be kind.")
    assert talk.context().startswith(SYSTEM)
    talk.hear(say(rest=40))
    told = "<|im_start|>system\nBe brief, be honest and be kind.<|im_end|>\n"
    assert talk.context() == told + laid_out(talk)
    talk.session.set_instructions("")
    talk.hear(QUESTION + say(rest=40))
    assert talk.context() == "<|im_start|>system\n<|im_end|>\n" + laid_out(talk)
    assert len(talk.session.pairs) == 2


@pytest.mark.parametrize(
    ("tell", "error", "message"),
    [
        (lambda s: s.add_text_turn("user", " \n"), TextError, "no text"),
        (lambda s: s.add_text_turn("system", "Hi."), TextError, "'system'"),
        (lambda s: s.add_text_turn("user", "\ud800"), TextError, "half"),
        (lambda s: s.add_text_turn("user", "word " * 20_000), ContextFull, "297 tokens"),
        (lambda s: s.add_text_turn("assistant", "more " * 310), ContextFull, "297 tokens"),
        (lambda s: s.set_instructions("word " * 20_000), ContextFull, "305 tokens"),
        (lambda s: s.set_instructions("more " * 310), ContextFull, "305 tokens"),
        (lambda s: s.set_instructions("\udfff"), TextError, "half"),
    ],
)
def test_refused_text_changes_nothing(
    tell: Callable[[object], None], error: type[DuplexError], message: str
) -> None:
    talk = Conversation()
    with pytest.raises(error, match=message):
        tell(talk.session)
    talk.hear(QUESTION + say(rest=40))
    assert talk.context() == SYSTEM + laid_out(talk)
    assert len(talk.session.pairs) == 1


def test_a_conversation_is_not_begun_with_instructions_that_do_not_fit() -> None:
    with pytest.raises(ContextFull, match="305 tokens"):
        Conversation(system_prompt="more " * 400)


def test_text_that_waits_counts_against_the_limit() -> None:
    talk = Conversation()
    talk.session.add_text_turn("user", "more " * 200)
    with pytest.raises(ContextFull):
        talk.session.add_text_turn("user", "more " * 200)
    talk.hear(say(rest=60))
    talk.session.add_text_turn("user", "more " * 200)
    talk.hear(say(rest=60))
    assert talk.context() == SYSTEM + laid_out(talk)
