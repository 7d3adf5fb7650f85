"""The LLM asked in writing: the same conversation without ears and voice."""

from functools import cache

import pytest
from duplex_evals.content.written import written_replies

from duplex_agent.llm.load import shipped_thinker
from duplex_agent.llm.thinker import Thinker

pytestmark = pytest.mark.assets


@cache
def thinker() -> Thinker:
    return shipped_thinker()


def test_a_written_question_is_answered_in_words() -> None:
    (reply,) = written_replies(thinker(), ["What is the capital of Germany?"])
    assert "Berlin" in reply


def test_it_remembers_the_turn_before_and_repeats_itself() -> None:
    turns = ["My dog is called Lucky.", "How is my dog called?"]
    first = written_replies(thinker(), turns)
    assert len(first) == 2
    assert "Lucky" in first[1]
    assert written_replies(thinker(), turns) == first


def test_instructions_stand_in_for_the_prompt() -> None:
    asked = ["Who are you?", "What is your name?"]
    assert written_replies(thinker(), asked) != written_replies(
        thinker(), asked, "You are a pirate captain."
    )
