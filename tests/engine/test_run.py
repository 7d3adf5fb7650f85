"""Many conversations side by side give what each gives alone, failures included."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scripted_parts import Conversation, EchoThinker, WordVoice
from scripted_user import LevelVad, NumberEar, say

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.events import Tick
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.duplex.requests import Render
from duplex_agent.duplex.session import DuplexSession
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.run import run_many, run_one
from duplex_agent.llm.requests import Decode
from duplex_agent.llm.settings import LlmSettings

CONFIG = SessionConfig(llm=LlmSettings(system_prompt="Be kind.", examples=(), fresh_replies=0))
USERS = {
    "asks": say("tell", "", "me", "", "more", rest=67),
    "interrupts": say("tell", "", "me", "", "more", rest=12) + say("stop", "wait", "why", rest=52),
    "goes on": say("tell", "", "me", rest=6) + say("more", "please", rest=61),
    "is silent": say(rest=72),
}


def model() -> FlowOmni:
    thinker = EchoThinker()
    thinker.tokenizer.encode(
        "You said tell me more please stop wait why and that is turn 1 of ours."
    )
    return FlowOmni(NumberEar(thinker), thinker, WordVoice())


def session(parts: FlowOmni) -> DuplexSession:
    return DuplexSession(parts, CONFIG, vad=LevelVad())


class Counting(CpuExecutor):
    """Remembers the size of each batch by kind."""

    def __init__(self, parts: FlowOmni) -> None:
        super().__init__(parts)
        self.batches: list[tuple[type, int]] = []

    def execute(self, requests: Any) -> list[Any]:
        assert len({type(request) for request in requests}) == 1
        self.batches.append((type(requests[0]), len(requests)))
        return super().execute(requests)


def test_four_conversations_in_batches_equal_the_same_four_alone():
    parts = model()
    alone = {}
    for name, user in USERS.items():
        one, executor = session(parts), CpuExecutor(parts)
        alone[name] = [run_one(one.steps(pcm), executor) for pcm in user]
    together = {name: session(parts) for name in USERS}
    executor = Counting(parts)
    for number in range(72):
        steps = {name: one.steps(USERS[name][number]) for name, one in together.items()}
        for name, tick in run_many(steps, executor).items():
            assert isinstance(tick, Tick), tick
            np.testing.assert_array_equal(tick.agent_pcm, alone[name][number].agent_pcm)
            assert tick.events == alone[name][number].events
    assert any(kind is Decode and size > 1 for kind, size in executor.batches)
    assert any(kind is Render and size > 1 for kind, size in executor.batches)


def test_a_request_that_fails_ends_its_own_conversation_only():
    parts = model()
    executor = CpuExecutor(parts)
    sound, broken = session(parts), session(parts)
    broken._vad = None  # type: ignore[assignment]
    pcm = say("tell")[0]
    done = run_many({"sound": sound.steps(pcm), "broken": broken.steps(pcm)}, executor)
    assert isinstance(done["sound"], Tick)
    assert isinstance(done["broken"], AttributeError)


def test_run_one_raises_what_an_executor_reports():
    parts = model()
    broken = session(parts)
    broken._vad = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        run_one(broken.steps(say("tell")[0]), CpuExecutor(parts))


def test_an_executor_that_loses_a_result_is_found_out():
    class Losing(CpuExecutor):
        def execute(self, requests: Any) -> list[Any]:
            return super().execute(requests)[1:]

    parts = model()
    pcm = say("tell")[0]
    with pytest.raises(ValueError, match="shorter"):
        run_many({name: session(parts).steps(pcm) for name in "ab"}, Losing(parts))


def test_a_prompt_that_was_read_before_is_copied():
    parts = model()
    read = []
    append = parts.thinker.append

    def counting(state: Any, rows: Any) -> Any:
        read.append(len(rows))
        return append(state, rows)

    thinker = parts.thinker
    thinker.append = counting  # type: ignore[method-assign]
    executor = CpuExecutor(parts)
    first, second = session(parts), session(parts)
    for one in (first, second):
        run_one(one.steps(say(rest=1)[0]), executor)
    assert len(read) == 1
    assert first._record.cache.state is not second._record.cache.state
    talk = Conversation()
    talk.hear(say(rest=1))
    texts = [thinker.text(one._record.cache.state) for one in (first, second)]  # type: ignore[attr-defined]
    assert texts == [talk.context()] * 2


def test_a_copied_prompt_is_no_part_of_the_conversation_that_goes_on():
    parts = model()
    executor = CpuExecutor(parts)
    first = session(parts)
    for pcm in USERS["asks"]:
        run_one(first.steps(pcm), executor)
    later = session(parts)
    run_one(later.steps(say(rest=1)[0]), executor)
    text = parts.thinker.text(later._record.cache.state)  # type: ignore[attr-defined]
    assert text == "<|im_start|>system\nBe kind.<|im_end|>\n"


def test_the_oldest_prompt_gives_way_to_a_fifth():
    parts = model()
    executor = CpuExecutor(parts)
    for number in [1, 2, 3, 4, 5]:
        config = replace(CONFIG, llm=replace(CONFIG.llm, system_prompt=f"Be number {number}."))
        one = DuplexSession(parts, config, vad=LevelVad())
        run_one(one.steps(say(rest=1)[0]), executor)
        text = parts.thinker.text(one._record.cache.state)  # type: ignore[attr-defined]
        assert f"number {number}." in text
