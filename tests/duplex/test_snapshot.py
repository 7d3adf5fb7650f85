"""What is in a snapshot of a conversation, and how another one goes on with it."""

import pytest
from scripted_parts import ANSWER, QUESTION, SYSTEM, Conversation, agent, user
from scripted_user import say

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.errors import SnapshotError
from duplex_agent.llm.protocol import TurnPair
from duplex_agent.llm.requests import Splice

ASKED = TurnPair(" tell me more", ANSWER)


def test_a_snapshot_holds_what_was_said_and_what_was_changed() -> None:
    talk = Conversation()
    assert talk.session.snapshot("echo") == Snapshot(
        model="echo", instructions="Be kind.", pairs=[], reply_id=0
    )
    talk.hear(QUESTION + say(rest=40))
    talk.session.set_instructions("Be brief.")
    talk.session.add_text_turn("user", "more cake")
    talk.hear(say(rest=9))
    told = talk.session.snapshot("echo")
    assert told == Snapshot(
        version=1,
        model="echo",
        instructions="Be brief.",
        pairs=[ASKED, TurnPair("more cake", "", "user")],
        reply_id=1,
    )
    assert Snapshot.read(told.model_dump_json(), "echo") == told


def test_a_reply_in_progress_counts_as_far_as_it_was_heard() -> None:
    talk = Conversation()
    talk.hear(QUESTION + say(rest=5))
    heard = [
        talk.session.snapshot("echo", played_ms).pairs[-1].agent
        for played_ms in (0, talk.session.now_ms - 2 * TICK_MS, talk.session.now_ms, None)
    ]
    assert heard == ["", "You", "You said", "You said"]
    assert talk.session.snapshot("echo").pairs == [TurnPair(" tell me more", "You said")]
    assert talk.session.pairs == []  # the snapshot is none of the conversation's own


def test_a_turn_in_progress_is_text_without_a_reply() -> None:
    talk = Conversation()
    talk.hear(say("tell", "", "me", "", "more", rest=1))
    assert talk.session.snapshot("echo").pairs == [TurnPair(" tell", "", "user")]
    talk.hear(say(rest=5))
    assert "assistant" in talk.context()  # a reply that was begun in the pause is not said
    assert talk.session.snapshot("echo").pairs == [TurnPair(" tell me more", "", "user")]


def test_a_restored_conversation_reads_what_was_said_and_counts_on() -> None:
    talk = Conversation()
    pairs = [ASKED, TurnPair("more cake", "", "user"), TurnPair("", "Fine.", "assistant")]
    talk.session.restore(Snapshot(model="echo", instructions="Be brief.", pairs=pairs, reply_id=3))
    talk.hear(say(rest=9))
    assert talk.session.pairs == pairs
    brief = "<|im_start|>system\nBe brief.<|im_end|>\n"
    told = brief + user(" tell me more") + agent(ANSWER) + user("more cake") + agent("Fine.")
    assert talk.context() == told
    talk.hear(QUESTION + say(rest=40))
    assert talk.of_type("reply.started")[0]["reply_id"] == 4
    assert talk.session.pairs[-1].agent == "You said tell me more and that is turn 3 of ours."


def test_instructions_that_are_the_same_are_not_read_again() -> None:
    talk = Conversation()
    talk.session.restore(Snapshot(model="echo", instructions="Be kind.", pairs=[ASKED], reply_id=1))
    talk.hear(say(rest=9))
    assert talk.context() == SYSTEM + user(" tell me more") + agent(ANSWER)
    assert not [request for request in talk.executor.asked if isinstance(request, Splice)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "this is no snapshot of a conversation: Invalid JSON"),
        ('{"version": 1}', "this is no snapshot of a conversation: model: Field required"),
        (
            '{"model": "echo", "instructions": "", "pairs": [{"user": 1}], "reply_id": 0}',
            r"this is no snapshot of a conversation: pairs\.0\.user: Input should be",
        ),
        (
            '{"model": "echo", "instructions": "", "pairs": [], "reply_id": 0, "mood": "good"}',
            "this is no snapshot of a conversation: mood: Extra inputs are not permitted",
        ),
        (
            '{"version": 2, "model": "echo", "instructions": "", "pairs": [], "reply_id": 0}',
            "a snapshot of version 2; this worker reads version 1$",
        ),
        (
            '{"model": "parrot", "instructions": "", "pairs": [], "reply_id": 0}',
            "a snapshot of parrot; this worker runs echo$",
        ),
    ],
)
def test_a_snapshot_that_cannot_be_gone_on_with_is_refused(change: str, message: str) -> None:
    with pytest.raises(SnapshotError, match=f"^{message}"):
        Snapshot.read(change, "echo")


def test_what_was_read_is_not_changed() -> None:
    told = Snapshot(model="echo", instructions="", pairs=[], reply_id=0)
    with pytest.raises(ValueError, match="frozen"):
        told.reply_id = 1  # type: ignore[misc]
