"""Turns: latency, misses, early starts and pauses, each pinned by hand."""

import pytest
from duplex_evals.metrics.turns import NEVER, observe, reply_to
from hand_made import placed, talk, values
from hypothesis import given
from hypothesis import strategies as st

TURN = placed("turn", (1_000.0, 3_000.0))


@given(
    st.integers(0, 14_000),
    st.integers(80, 5_000),
    st.lists(st.tuples(st.integers(201, 900), st.integers(80, 900)), max_size=4),
)
def test_a_known_delay_comes_back_whatever_is_said_after_it(
    delay: int, length: int, more: list[tuple[int, int]]
) -> None:
    agent = [(3_000.0 + delay, 3_000.0 + delay + length)]
    for gap, unit in more:
        agent.append((agent[-1][1] + gap, agent[-1][1] + gap + unit))
    seen = observe(talk(TURN, agent=tuple(agent)))
    assert values(seen, "voice_to_voice_answered") == [delay]
    assert values(seen, "voice_to_voice_all") == [delay]
    assert values(seen, "missed_response_rate") == values(seen, "premature_rate") == [0]
    assert values(seen, "false_start_rate") == [0]


def test_a_missed_turn_is_later_than_every_latency_and_has_none_of_its_own() -> None:
    seen = observe(talk(TURN))
    assert values(seen, "missed_response_rate") == [1]
    assert values(seen, "voice_to_voice_all") == [NEVER]
    assert values(seen, "voice_to_voice_answered") == []


def test_an_answer_after_the_user_spoke_again_belongs_to_the_second_turn() -> None:
    again = placed("turn", (6_000.0, 7_000.0))
    c = talk(TURN, again, agent=((7_400.0, 9_000.0),))
    assert reply_to(c, TURN).latency_ms is None
    assert reply_to(c, again).latency_ms == 400


def test_sound_fifteen_seconds_later_is_no_answer() -> None:
    assert reply_to(talk(TURN, agent=((18_000.0, 19_500.0),)), TURN).latency_ms is None


def test_a_recording_that_ends_with_the_turn_shows_no_miss() -> None:
    assert values(observe(talk(TURN, end_ms=3_900.0)), "missed_response_rate") == []


def test_a_backchannel_at_the_end_of_a_turn_is_no_part_of_the_answer() -> None:
    seen = observe(talk(TURN, agent=((2_500.0, 2_800.0), (3_200.0, 5_000.0))))
    assert values(seen, "voice_to_voice_answered") == [200]
    assert values(seen, "premature_rate") == [0]
    assert values(seen, "false_start_rate") == [1]


def test_talking_over_the_end_of_a_turn_is_early_and_no_answer_in_turn() -> None:
    seen = observe(talk(TURN, agent=((2_600.0, 5_000.0),)))
    assert values(seen, "premature_rate") == [1]
    assert values(seen, "talk_over") == [400]
    assert values(seen, "missed_response_rate") == [0]
    assert values(seen, "voice_to_voice_answered") == []
    assert values(seen, "voice_to_voice_all") == [NEVER]


def test_an_agent_that_gave_way_is_timed_by_its_second_start() -> None:
    seen = observe(talk(TURN, agent=((1_200.0, 2_300.0), (3_500.0, 5_000.0))))
    assert values(seen, "premature_rate") == [1]
    assert values(seen, "talk_over") == [1_100]
    assert values(seen, "voice_to_voice_answered") == [500]


def test_a_short_yes_with_most_of_it_after_the_turn_is_an_answer() -> None:
    assert reply_to(talk(TURN, agent=((2_900.0, 3_300.0),)), TURN).latency_ms == -100
    assert reply_to(talk(TURN, agent=((2_700.0, 3_100.0),)), TURN).latency_ms is None


def test_an_agent_that_speaks_through_a_turn_has_not_answered_with_its_next_breath() -> None:
    speaks_on = ((500.0, 3_400.0), (3_800.0, 5_000.0))
    assert reply_to(talk(TURN, agent=speaks_on), TURN).latency_ms is None
    later = (*speaks_on, (5_501.0, 6_000.0))
    assert reply_to(talk(TURN, agent=later), TURN).latency_ms == 2_501
    assert reply_to(talk(TURN, agent=speaks_on), TURN).early == []


@pytest.mark.parametrize(
    ("length_ms", "words", "taken"),
    [(999, 3, 0), (999, 4, 1), (1_000, 1, 1), (999, None, 0), (1_000, None, 1)],
)
def test_a_pause_is_taken_by_a_second_of_speech_or_more_than_three_words(
    length_ms: int, words: int | None, taken: int
) -> None:
    held = placed("turn", (1_000.0, 2_000.0), (5_000.0, 6_000.0))
    c = talk(
        held,
        agent=((3_000.0, 3_000.0 + length_ms),),
        words=None if words is None else lambda span: words,
    )
    assert values(observe(c), "pause_takeover_rate") == [taken]


def test_speech_that_began_before_the_pause_does_not_take_it() -> None:
    held = placed("turn", (1_000.0, 2_000.0), (5_000.0, 6_000.0))
    assert values(observe(talk(held, agent=((500.0, 4_000.0),))), "pause_takeover_rate") == [0]
