"""The verbs of a worker, on scripted parts: what each does, and a conversation that moves on."""

import numpy as np
import pytest
from scripted_parts import EchoThinker, LevelVad, NumberEar, WordVoice, say

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.duplex.session import DuplexSession
from duplex_agent.engine import wire
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.sessions import Sessions
from duplex_agent.engine.slots import Slots
from duplex_agent.llm.settings import LlmSettings

QUESTION = say("tell", "", "me", "", "more", rest=7)
ANSWER = "You said tell me more and that is turn 1 of ours."


class Worker:
    """Slots on parts of their own, asked one request at a time."""

    def __init__(self, count: int = 2, model: str = "echo") -> None:
        self.thinker = EchoThinker()
        parts = FlowOmni(NumberEar(self.thinker), self.thinker, WordVoice())
        settings = LlmSettings(system_prompt="Be kind.", examples=(), fresh_replies=0)
        config = SessionConfig(llm=settings)
        sessions = Sessions(
            lambda seed: DuplexSession(parts, config, seed, LevelVad()), CpuExecutor(parts), model
        )
        self.slots = Slots(sessions, count, timer=lambda: 0.0)
        self.events: list[dict[str, object]] = []

    def ask(self, op: str, call: str = "a", **data: object) -> dict[str, object]:
        [reply] = self.slots.handle([{"op": op, "call": call, **data}])
        return reply

    def hear(self, ticks: list[np.ndarray], call: str = "a") -> None:
        for pcm in ticks:
            reply = self.ask("tick", call, pcm=wire.encode_pcm(pcm), played_ms=None)
            self.events += reply["events"]  # type: ignore[arg-type]

    def done(self) -> list[str]:
        return [str(e["heard_text"]) for e in self.events if e["type"] == "reply.done"]


def test_a_conversation_goes_on_in_another_worker():
    first, second = Worker(), Worker()
    first.ask("open")
    first.ask("configure", instructions="Be brief.")
    first.hear(QUESTION + say(rest=40))
    first.ask("item", role="user", text="more cake")
    first.hear(say(rest=10) + QUESTION + say(rest=6))
    snapshot = first.ask("snapshot")["snapshot"]
    assert isinstance(snapshot, str)
    assert len(snapshot) < 600
    assert second.ask("restore", snapshot=snapshot) == {"op": "opened"}
    second.hear(say(rest=20))
    session = second.slots._sessions["a"]
    assert isinstance(session, DuplexSession)
    assert [(p.user, p.agent, p.text_of) for p in session.pairs] == [
        (" tell me more", ANSWER, None),
        ("more cake", "", "user"),
        (" tell me more", "You said tell", None),  # as far as it was heard
    ]
    context = second.thinker.text(session._record.cache.state)
    assert context.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n tell")
    second.hear(QUESTION + say(rest=40))
    assert second.done() == ["You said tell me more and that is turn 4 of ours."]
    started = [e["reply_id"] for e in second.events if e["type"] == "reply.started"]
    assert started == [3]


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        ("{", "no snapshot"),
        ('{"version": 1}', "no snapshot of a conversation: model: "),
        (
            '{"version": 2, "model": "echo", "instructions": "", "pairs": [], "reply_id": 0}',
            "a snapshot of version 2; this worker reads version 1",
        ),
        (
            '{"version": 1, "model": "parrot", "instructions": "", "pairs": [], "reply_id": 0}',
            "a snapshot of parrot; this worker runs echo",
        ),
    ],
)
def test_a_snapshot_that_cannot_be_gone_on_with_is_refused_and_takes_no_slot(snapshot, message):
    worker = Worker(count=1)
    reply = worker.ask("restore", snapshot=snapshot)
    assert (reply["op"], reply["code"]) == ("error", "SnapshotError")
    assert message in str(reply["message"])
    assert "\n" not in str(reply["message"])
    assert worker.ask("open") == {"op": "opened"}


def test_respond_and_cancel_act_in_the_next_tick():
    worker = Worker()
    worker.ask("open")
    worker.ask("item", role="user", text="more cake")
    worker.hear(say(rest=2))
    assert worker.ask("respond") == {"op": "responding"}
    worker.hear(say(rest=6))
    assert worker.ask("cancel") == {"op": "cancelling"}
    worker.hear(say(rest=1))
    assert worker.done() == ["You said more"]
    assert worker.ask("truncate", reply_id=1, heard_ms=160)["text"] == "You"


def test_what_a_client_may_not_ask_is_refused_and_the_conversation_goes_on():
    worker = Worker()
    worker.ask("open")
    refused = [
        worker.ask("truncate", reply_id=1, heard_ms=0),
        worker.ask("item", role="system", text="Hi."),
        worker.ask("configure", instructions="more " * 4000),
        worker.ask("tick", pcm=wire.encode_pcm(np.zeros(7, np.float32))),
    ]
    assert [r["code"] for r in refused] == ["TextError", "TextError", "ContextFull", "AudioError"]
    assert worker.ask("fly")["code"] == "unknown_operation"
    assert worker.ask("cancel", call="b")["code"] == "no_such_call"
    worker.hear(QUESTION + say(rest=40))
    assert worker.done() == [ANSWER]


def test_slots_are_counted_for_what_is_restored_too():
    worker = Worker(count=1)
    worker.ask("open")
    snapshot = worker.ask("snapshot")["snapshot"]
    assert worker.ask("restore", "b", snapshot=snapshot) == {"op": "busy"}
    worker.ask("close")
    assert worker.ask("restore", "b", snapshot=snapshot) == {"op": "opened"}


def test_requests_that_came_together_are_answered_in_order():
    worker = Worker()
    worker.ask("open", "a")
    worker.ask("open", "b")
    tick = {"op": "tick", "pcm": wire.encode_pcm(say(rest=1)[0])}
    requests = [
        {**tick, "call": "a"},
        {**tick, "call": "b"},
        {**tick, "call": "a"},
        {**tick, "call": "nobody"},
        {"op": "close", "call": "b"},
        {**tick, "call": "b"},
    ]
    replies = worker.slots.handle(requests)
    ops = [reply.get("code", reply["op"]) for reply in replies]
    assert ops == ["ticked", "ticked", "ticked", "no_such_call", "closed", "no_such_call"]
    assert replies[2]["events"][0]["at_ms"] == 160
