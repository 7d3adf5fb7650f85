"""Right answers are found by whole words, in any of their spellings."""

import pytest
from duplex_evals.content.answers import holds_answer
from duplex_evals.content.spoken_qa import questions
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.sampled_from(["house", "tree", "blue", "river", "seven", "music"])


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ("There are twenty-six letters.", ["26"]),
        ("There are 26 letters.", ["twenty six"]),
        ("It has one, two, three parts.", ["two"]),
        ("A dollar is 100 cents.", ["one hundred"]),
        ("That is New York City.", ["new york"]),
        ("The answer is one.", ["one"]),
    ],
)
def test_spelling_capitals_and_numbers_do_not_matter(reply: str, answers: list[str]) -> None:
    assert holds_answer(reply, answers)


@pytest.mark.parametrize(
    ("reply", "answers"),
    [("I was dining in a restaurant.", ["rant"]), ("", ["rome"]), ("York is new.", ["new york"])],
)
def test_parts_of_words_and_words_apart_do_not_count(reply: str, answers: list[str]) -> None:
    assert not holds_answer(reply, answers)


def test_the_first_of_the_named_choices_is_the_answer() -> None:
    assert holds_answer("An elephant is larger than a mouse.", ["elephant"], ["mouse"])
    assert not holds_answer("A mouse is larger than an elephant.", ["elephant"], ["mouse"])


@given(before=st.lists(WORDS, max_size=4), after=st.lists(WORDS, max_size=4))
def test_an_answer_is_found_wherever_it_stands(before: list[str], after: list[str]) -> None:
    assert holds_answer(" ".join([*before, "Paris", *after]), ["paris"])
    assert not holds_answer(" ".join([*before, *after]), ["paris"])


def test_no_question_gives_its_own_answer_away() -> None:
    for question in questions().values():
        echoed = holds_answer(question.ask, question.answers)
        assert not echoed or question.distractors, question.ask


def test_there_are_150_different_questions() -> None:
    assert len(questions()) == len({q.ask for q in questions().values()}) == 150
