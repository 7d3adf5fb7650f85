"""The rules of requests about form hold for good replies and fail for bad ones."""

import pytest
from duplex_evals.content.instructions import CHECKS, instructions, scenarios


@pytest.mark.parametrize(
    ("case", "good", "bad"),
    [
        ("do-01", "Milk.", "Cats drink milk."),
        ("do-05", "One, two, three, four, five.", "One, two, four, three."),
        ("do-07", "Apples, pears and grapes.", "An apple, apples and more apples."),
        ("do-09", "Well, I am fine.", "I am well."),
        ("do-10", "What do you like?", "I like questions."),
        ("do-11", "It falls softly from grey clouds.", "It is water from the clouds."),
        ("do-13", "Saturday and Sunday.", "Saturday."),
        ("do-15", "A tree is tall.", "A tree is tall. It has leaves."),
        ("do-18", "I am done, goodbye.", "Goodbye to all of you."),
        ("do-22", "Apple, apple, apple.", "Apple, apple."),
        ("do-24", "Spring, summer, fall and winter.", "Spring, summer and winter."),
    ],
)
def test_a_rule_tells_a_good_reply_from_a_bad_one(case: str, good: str, bad: str) -> None:
    rule = instructions()[case]
    assert rule.kept(good)
    assert not rule.kept(bad)


@pytest.mark.parametrize("case", list(instructions()))
def test_silence_keeps_no_rule(case: str) -> None:
    assert not instructions()[case].kept("")
    assert not instructions()[case].kept(" ... ")


def test_every_check_is_used_and_known() -> None:
    assert {i.check for i in instructions().values()} == set(CHECKS)


def test_a_system_prompt_reaches_the_scenario() -> None:
    prompts = {s.id: s.instructions for s in scenarios()}
    assert "Robin" in prompts["do-28"]
    assert prompts["do-01"] == ""
