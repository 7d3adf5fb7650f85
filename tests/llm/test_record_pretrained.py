"""Facts in the record of the shipped thinker, before and after old turns were dropped."""

from collections.abc import Generator
from typing import Any

import pytest

from duplex_agent.engine.executor import ThinkerExecutor
from duplex_agent.engine.run import run_one
from duplex_agent.llm.load import load_thinker
from duplex_agent.llm.requests import LlmRequest
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker_llm import ThinkerLlm

pytestmark = [pytest.mark.assets, pytest.mark.timeout(600)]

TALK = [
    ("What is the capital of Italy?", "The capital of Italy is Rome."),
    ("How many days are there in a week?", "There are seven days in a week."),
    ("Where does chocolate come from?", "Chocolate comes from the beans of the cacao tree."),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci painted the Mona Lisa."),
]
FACT = ("My dog is called Rufus and he is very old.", "Okay, I will remember that.")


def test_a_fact_is_answered_although_older_turns_have_been_dropped() -> None:
    thinker = load_thinker(max_length=400)
    settings = LlmSettings(turn_positions=120, max_reply_tokens=14, fresh_replies=0)
    llm = ThinkerLlm(thinker, settings, seed=0)
    turns = [*TALK, FACT, TALK[0]]
    for said, answered in turns:
        llm.add_text_turn("user", said)
        llm.add_text_turn("assistant", answered)
        while llm.record.prefill(64):
            pass
    remembered = [turn.user for turn in llm.record.pairs]
    assert TALK[1][0] not in remembered
    assert FACT[0] in remembered
    for token in thinker.tokenizer.encode(" what is the name of my dog"):
        piece = thinker.tokenizer.decode([token])
        llm.record.hear(thinker.embed([token]), piece)
    generation = llm.begin_reply()

    def write() -> Generator[LlmRequest, Any, None]:
        yield from llm.record.edits()
        yield from generation.write(14, waited_ms=0)

    run_one(write(), ThinkerExecutor(thinker))
    assert "Rufus" in generation.text
