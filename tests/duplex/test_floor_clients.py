"""The floor: the last words of a turn, and what clients ask for. A tick of speech is ``#``."""

import pytest
from floor_ticks import ASKED, CANCELLED, OVER, heard, replying, run

from duplex_agent.duplex.floor import (
    Floor,
    FloorConfig,
    Kind,
)

# the last words of a turn


@pytest.mark.parametrize(
    ("read_until", "settled", "words_in"),
    [
        (8, True, False),  # the turn ended in tick 9
        (9, True, True),
        (9, False, False),
        (18, False, False),
        (19, False, True),  # 800 ms were long enough
        (20, False, True),
    ],
)
def test_the_last_words_are_waited_for_but_not_for_ever(
    read_until: int, settled: bool, words_in: bool
) -> None:
    inputs = heard(".", read_until=read_until, settled=settled)
    assert run(inputs, replying())[0].words_in == words_in


def test_the_words_may_be_in_as_the_turn_ends() -> None:
    inputs = heard("###.......", read_until=2)
    assert run(inputs)[0].words_in
    assert not run(heard("###.......", read_until=1))[0].words_in


def test_nothing_was_read_unless_it_is_said() -> None:
    config = FloorConfig(start_ms=80, min_turn_ms=80)
    state, made = run("#.......", config=config)
    assert made[1][1:] == (Kind.TURN_ENDED, "silence for 560 ms", 0)
    assert not state.words_in


# what clients ask for


def test_a_reply_that_is_asked_for_answers_nobody_and_waits_for_no_words() -> None:
    state, made = run(heard("...", respond=True, settled=False))
    assert made == [(2, Kind.REPLY_ASKED, ASKED, 2)]
    assert (state.floor, state.words_in) == (Floor.REPLYING, True)
    assert run("###", state)[1][0][1:3] == (
        Kind.BARGED_IN,
        "user spoke for 240 ms over the reply",
    )


def test_a_reply_that_is_asked_for_later_answers_no_earlier_turn() -> None:
    state, _ = run([OVER], replying())
    state, _ = run(heard(".", respond=True), state)
    assert state.words_in
    assert state.turn_end is None


def test_a_reply_that_is_asked_for_in_a_turn_ends_it() -> None:
    state, made = run(heard("#####..", respond=True))
    assert made[1:] == [(6, Kind.TURN_ENDED, ASKED, 4)]
    assert state.floor is Floor.REPLYING
    assert not state.words_in


def test_a_turn_that_is_asked_for_may_be_as_short_as_it_likes() -> None:
    assert run(heard("##.", respond=True))[1] == [
        (1, Kind.TURN_STARTED, "speech for 160 ms", 0),
        (2, Kind.TURN_ENDED, ASKED, 1),
    ]


def test_who_has_not_spoken_long_enough_yet_is_nobody_to_a_reply_that_is_asked_for() -> None:
    assert run(heard("##", respond=True))[1] == [(1, Kind.REPLY_ASKED, ASKED, 1)]


@pytest.mark.parametrize("before", ["#", "####"])
def test_speech_that_goes_on_after_a_reply_was_asked_for_does_not_interrupt_it(
    before: str,
) -> None:
    state, _ = run(heard(before + "#", respond=True))
    assert state.floor is Floor.REPLYING
    state, made = run("#" * 20, state)
    assert made == []
    _, made = run(heard("#", voice_over="said everything") + heard("##"), state)
    over = state.tick
    assert made == [
        (over, Kind.REPLY_ENDED, "said everything", over),
        (over + 2, Kind.TURN_STARTED, "speech for 160 ms", over + 1),
    ]


def test_a_reply_that_is_asked_for_during_another_changes_nothing() -> None:
    state, made = run(heard("..", respond=True), replying())
    assert made == []
    state, _ = run("###", state)
    state, made = run(heard("#", respond=True), state)
    assert made == []
    assert state.floor is Floor.YIELDING


def test_a_reply_may_be_asked_for_as_another_ends() -> None:
    state, made = run(heard(".", voice_over="said everything", respond=True), replying())
    assert [row[1] for row in made] == [Kind.REPLY_ENDED, Kind.REPLY_ASKED]
    assert state.floor is Floor.REPLYING
    state, _ = run("###", replying())
    _, made = run(heard("#", voice_over="said everything", respond=True), state)
    assert made[1] == (20, Kind.TURN_ENDED, ASKED, 20)


def test_a_cancelled_reply_is_over_at_once() -> None:
    state, made = run(heard("..", cancel=True), replying())
    assert made == [(18, Kind.REPLY_CANCELLED, CANCELLED, 18)]
    assert state.floor is Floor.LISTENING
    assert run("...##", state)[1] == [(23, Kind.TURN_STARTED, "speech for 160 ms", 22)]


def test_cancelling_comes_before_interrupting() -> None:
    _, made = run(heard("###", cancel=True), replying())
    assert [row[1] for row in made] == [Kind.REPLY_CANCELLED]


def test_there_is_nothing_to_cancel_while_nobody_replies() -> None:
    assert run(heard("...", cancel=True))[1] == []
    state, _ = run("###", replying())
    assert run(heard("#", cancel=True), state)[1] == []
