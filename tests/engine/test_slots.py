"""The verbs of a worker, on scripted parts: what each does, and a conversation that moves on."""

from functools import partial
from itertools import count as count_from

import numpy as np
import pytest
from scripted_parts import ANSWER, QUESTION, EchoThinker, WordVoice
from scripted_user import LevelVad, NumberEar, say

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.duplex.session import DuplexSession
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.engine import wire
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.sessions import Sessions
from duplex_agent.engine.slots import Slots, one_line
from duplex_agent.errors import ContextFull
from duplex_agent.llm.settings import LlmSettings


class NotedSession(DuplexSession):
    """Notes its end."""

    closed = 0

    def close(self) -> None:
        super().close()
        self.closed += 1


class Worker:
    """Slots on parts of their own, asked one request at a time. A tick lasts 12.3456 ms."""

    def __init__(self, count: int = 2, model: str = "echo") -> None:
        self.thinker = EchoThinker()
        parts = FlowOmni(NumberEar(self.thinker), self.thinker, WordVoice())
        settings = LlmSettings(system_prompt="Be kind.", examples=(), fresh_replies=0)
        config = SessionConfig(llm=settings)

        def open_session(seed: int) -> DuplexSession:
            self.seeds.append(seed)
            return NotedSession(parts, config, seed, LevelVad())

        self.seeds: list[int] = []
        self.slots = Slots(
            Sessions(open_session, CpuExecutor(parts), model),
            count,
            timer=partial(next, count_from(1.0, 0.0123456)),
        )
        self.events: list[dict[str, object]] = []

    def ask(self, op: str, call: str = "a", **data: object) -> dict[str, object]:
        [reply] = self.slots.handle([{"op": op, "call": call, **data}])
        return reply

    def hear(self, ticks: list[np.ndarray], call: str = "a") -> None:
        for pcm in ticks:
            reply = self.ask("tick", call, pcm=wire.encode_pcm(pcm), played_ms=None)
            self.events += reply["events"]  # type: ignore[arg-type]

    def session(self, call: str = "a") -> NotedSession:
        session = self.slots._sessions[call]
        assert isinstance(session, NotedSession)
        return session

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
    session = second.session()
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
    assert worker.ask("truncate", reply_id=1, heard_ms=160) == {"op": "truncated", "text": "You"}


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


def test_each_verb_says_what_it_did():
    worker = Worker()
    assert worker.ask("open", seed=7) == {"op": "opened"}
    assert worker.ask("item", role="user", text="more cake") == {"op": "added"}
    assert worker.ask("configure", instructions="Be brief.") == {"op": "configured"}
    told = worker.ask("snapshot")
    assert told["op"] == "snapshot"
    assert Snapshot.read(str(told["snapshot"]), "echo").instructions == "Be brief."
    session = worker.session()
    assert worker.ask("close") == {"op": "closed"}
    assert session.closed == 1
    assert worker.ask("close") == {"op": "closed"}
    assert worker.ask("fly") == {
        "op": "error",
        "code": "unknown_operation",
        "message": "the worker does not know 'fly'",
    }
    assert worker.ask("cancel") == {
        "op": "error",
        "code": "no_such_call",
        "message": "this call holds no slot of the worker",
    }
    worker.ask("open")
    assert worker.seeds == [7, 0]


def test_a_tick_gives_sound_events_and_what_it_cost():
    worker = Worker()
    worker.ask("open")
    pcm = wire.encode_pcm(say("tell")[0])
    worker.ask("tick", pcm=pcm)
    ticked = worker.ask("tick", pcm=pcm)
    assert ticked == {
        "op": "ticked",
        "pcm": bytes(1920 * 4),
        "events": [
            {"type": "user.speech_started", "at_ms": 160, "start_ms": 0},
            {"type": "tick.compute", "at_ms": 160, "compute_ms": 12.35},
        ],
    }


def test_what_the_listener_has_heard_comes_with_the_tick_or_the_snapshot():
    worker = Worker()
    worker.ask("open")
    worker.hear(QUESTION + say(rest=6))
    heard = [
        Snapshot.read(str(worker.ask("snapshot", played_ms=played_ms)["snapshot"]), "echo")
        for played_ms in (None, 12 * 80 + 160)
    ]
    assert [told.pairs[-1].agent for told in heard] == ["You said tell", "You"]
    over = [wire.encode_pcm(pcm) for pcm in say("stop", "wait", "why")]
    for pcm in over:
        worker.events += worker.ask("tick", pcm=pcm, played_ms=12 * 80 + 160)["events"]
    assert worker.done() == ["You"]


def test_a_conversation_that_breaks_is_closed_and_its_slot_is_free(capsys):
    worker = Worker(count=1)
    worker.ask("open")
    broken = worker.session()
    broken._vad = None
    tick = worker.ask("tick", pcm=wire.encode_pcm(say("tell")[0]))
    message = "AttributeError: 'NoneType' object has no attribute 'step'"
    assert tick == {"op": "error", "code": "session_broken", "message": message}
    assert broken.closed == 1
    assert "Traceback" in capsys.readouterr().err
    assert worker.ask("respond")["code"] == "no_such_call"
    worker.ask("open")
    worker.session()._llm = None
    assert worker.ask("configure", instructions="Be brief.")["code"] == "session_broken"
    assert worker.ask("open") == {"op": "opened"}


def test_what_is_refused_leaves_the_conversation_as_it_was(capsys):
    worker = Worker()
    worker.ask("open")
    session = worker.session()
    refused = worker.ask("item", role="user", text=" ")
    message = "a turn of text holds no text"
    assert refused == {"op": "error", "code": "TextError", "message": message}
    assert worker.session() is session
    assert session.closed == 0
    assert capsys.readouterr().err == ""


def test_a_request_that_names_no_call_is_of_the_call_without_a_name():
    worker = Worker()
    tick = {"op": "tick", "pcm": wire.encode_pcm(say(rest=1)[0])}
    replies = worker.slots.handle([{"op": "open"}, tick, {"op": "respond", "call": ""}])
    assert [reply["op"] for reply in replies] == ["opened", "ticked", "responding"]
    assert worker.ask("tick", "", pcm=tick["pcm"])["op"] == "ticked"


def test_an_error_is_told_in_one_line():
    assert one_line(ContextFull("too  long:\n297 tokens")) == "too long: 297 tokens"
    assert one_line(ValueError("a\x1bb")) == "ValueError: a\\x1bb"
