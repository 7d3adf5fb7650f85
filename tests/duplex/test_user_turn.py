"""Which of the ear's words belong to the open user turn, tick by tick."""

import numpy as np

from duplex_agent.duplex.user_turn import RECENT_TICKS, TurnWords
from duplex_agent.ear.hearing import HeardWord, Hearing

Found = tuple[list[str], list[str]]


class Words:
    """Sorts words, each named by a letter and said in one tick."""

    def __init__(self) -> None:
        self._words = TurnWords()

    def sort(
        self, said: dict[str, int], first: int | None, revised: int = 0, tick: int = 9
    ) -> Found:
        """The words that are revised and those that are new in the turn."""
        rows = np.zeros((1, 1), np.float32)
        words = tuple(HeardWord(rows, text, 0, last) for text, last in said.items())
        hearing = Hearing(words, revised=revised)
        self._words, revised, new = self._words.sort(hearing, first, tick)
        return [word.text for word in revised], [word.text for word in new]


def test_words_wait_until_there_is_a_turn_and_are_given_once() -> None:
    words = Words()
    assert words.sort({"a": 5}, None) == ([], [])
    assert words.sort({"b": 6}, None) == ([], [])
    assert words.sort({"c": 7}, 5) == ([], ["a", "b", "c"])
    assert words.sort({"d": 8}, 5) == ([], ["d"])
    assert words.sort({}, 5) == ([], [])


def test_words_that_ended_before_the_turn_are_not_of_it() -> None:
    words = Words()
    words.sort({"a": 4, "b": 5}, None)
    assert words.sort({}, 5) == ([], ["b"])
    assert words.sort({}, 3) == ([], [])  # nor of another: they were passed over


def test_words_do_not_wait_for_ever() -> None:
    assert RECENT_TICKS * 80 == 1_600
    words = Words()
    words.sort({"a": 4, "b": 5}, None, tick=25)
    assert words.sort({}, 0, tick=25) == ([], ["b"])
    words.sort({"c": 5}, None, tick=25)
    words.sort({}, None, tick=26)
    assert words.sort({}, 0, tick=26) == ([], [])


def test_words_that_wait_are_revised_without_a_trace() -> None:
    words = Words()
    words.sort({"a": 5, "b": 6, "c": 7}, None)
    assert words.sort({"d": 8}, None, revised=2) == ([], [])
    assert words.sort({}, 5) == ([], ["a", "d"])


def test_words_of_the_turn_are_revised_from_the_last_one_on() -> None:
    words = Words()
    words.sort({"a": 5, "b": 6, "c": 7}, 5)
    assert words.sort({"d": 8}, 5, revised=1) == (["c"], ["d"])
    assert words.sort({}, 5, revised=2) == (["b", "d"], [])
    assert words.sort({}, 5, revised=1) == (["a"], [])
    assert words.sort({}, 5, revised=1) == ([], [])


def test_no_more_is_revised_than_was_given() -> None:
    words = Words()
    words.sort({"a": 5, "b": 6}, 5)
    assert words.sort({}, 5, revised=3) == (["a", "b"], [])


def test_words_that_wait_are_revised_before_those_of_an_earlier_turn() -> None:
    words = Words()
    words.sort({"a": 5, "b": 6}, 5)
    words.sort({"c": 7}, None)
    assert words.sort({"d": 8}, None, revised=2) == ([], [])
    assert words.sort({}, 6) == ([], ["d"])
    assert words.sort({}, 6, revised=2) == (["d"], [])


def test_words_of_an_earlier_turn_are_never_revised() -> None:
    words = Words()
    words.sort({"a": 5}, 3)
    words.sort({}, None)
    assert words.sort({"b": 6}, 4, revised=1) == ([], ["b"])
    words = Words()
    words.sort({"a": 5}, 3)
    assert words.sort({"b": 6}, 6, revised=1) == ([], ["b"])


def test_a_turn_that_was_closed_is_another_one_although_it_begins_in_the_same_tick() -> None:
    words = Words()
    words.sort({"a": 5}, 3)
    words.sort({}, None)
    assert words.sort({}, 3, revised=1) == ([], [])
