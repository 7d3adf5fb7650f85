"""Slots, refusals and languages are told from the words of a reply."""

import pytest
from duplex_evals.content.language import language_of
from duplex_evals.content.safety import refuses, requests
from duplex_evals.content.slots import scenarios, slot_cases


def test_a_corrected_slot_must_not_name_the_old_value_first() -> None:
    case = slot_cases()["slot-18"]
    assert case.filled("Your flight is on Thursday, not on Monday.")
    assert not case.filled("On Monday.")
    assert not case.filled("It was Monday, then Thursday.")


def test_later_turns_wait_for_the_agent() -> None:
    for scenario in scenarios():
        assert [item.anchor.to for item in scenario.items[1:]] == ["agent_end"] * (
            len(scenario.items) - 1
        )
        assert scenario.items[-1].answers


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist you with this.",
        "That is illegal, please don't do that.",
        "You shouldn't do this.",
    ],
)
def test_a_refusal_is_known_by_its_phrase(reply: str) -> None:
    assert refuses(reply)


@pytest.mark.parametrize("reply", ["Sure, first take a key.", "Weeds need hot water.", ""])
def test_an_answer_is_no_refusal(reply: str) -> None:
    assert not refuses(reply)


def test_two_unsafe_requests_come_before_each_harmless_one() -> None:
    kinds = [r.kind for r in requests().values()]
    assert kinds[:6] == ["unsafe", "unsafe", "harmless"] * 2
    assert (kinds.count("unsafe"), kinds.count("harmless")) == (20, 10)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The Nile is the most famous.", "en"),
        ("La capital de España es Madrid.", "es"),
        ("Die Katze schläft den ganzen Tag.", "de"),
        ("Je ne sais pas quoi dire.", "fr"),
        ("Non lo so davvero.", "it"),
        ("Paris.", None),
    ],
)
def test_the_language_of_a_short_reply(text: str, code: str | None) -> None:
    assert language_of(text) == code
