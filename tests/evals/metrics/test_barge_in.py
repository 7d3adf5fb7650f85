"""Stopping for an interruption: exact, censored, void."""

import pytest
from duplex_evals.metrics.barge_in import Stop, observe, stop_of
from hand_made import placed, talk, values
from hypothesis import given
from hypothesis import strategies as st

CUT_IN = placed("interruption", (4_000.0, 5_500.0))


@given(st.integers(1, 4_999), st.integers(0, 3_900), st.integers(501, 5_000))
def test_a_known_stop_comes_back_whenever_speech_began_and_goes_on(
    stop: int, begun: int, silence: int
) -> None:
    end = 4_000.0 + stop
    agent = ((float(begun), end), (end + silence, end + silence + 1_000))
    assert stop_of(talk(CUT_IN, agent=agent), CUT_IN) == Stop(stop, censored=False)


def test_an_agent_that_speaks_on_is_censored_where_watching_ends() -> None:
    on = ((2_000.0, 20_000.0),)
    assert stop_of(talk(CUT_IN, agent=on), CUT_IN) == Stop(5_000, censored=True)
    again = placed("turn", (7_000.0, 8_000.0))
    assert stop_of(talk(CUT_IN, again, agent=on), CUT_IN) == Stop(3_000, censored=True)
    ends = talk(CUT_IN, agent=((2_000.0, 5_200.0),), end_ms=5_200.0)
    assert stop_of(ends, CUT_IN) == Stop(1_200, censored=True)


def test_a_breath_is_no_stop_but_silence_until_the_user_is_done_is() -> None:
    breath = ((2_000.0, 4_300.0), (4_700.0, 6_000.0))
    assert stop_of(talk(CUT_IN, agent=breath), CUT_IN) == Stop(2_000, censored=False)
    quick = ((2_000.0, 5_200.0), (5_600.0, 8_000.0))  # answers 100 ms after the user ended
    assert stop_of(talk(CUT_IN, agent=quick), CUT_IN) == Stop(1_200, censored=False)


def test_an_interruption_of_a_silent_agent_is_void_and_not_in_the_yield_rate() -> None:
    seen = observe(talk(CUT_IN, agent=((2_000.0, 3_900.0), (4_200.0, 6_000.0))))
    assert [o.metric for o in seen] == ["interruption_void_rate"]
    assert seen[0].value == 1


@pytest.mark.parametrize(
    ("stop_ms", "in_one", "in_two"), [(1_000, 1, 1), (1_001, 0, 1), (2_000, 0, 1), (2_001, 0, 0)]
)
def test_yielding_means_within_one_and_within_two_seconds(
    stop_ms: int, in_one: int, in_two: int
) -> None:
    seen = observe(talk(CUT_IN, agent=((2_000.0, 4_000.0 + stop_ms),)))
    assert values(seen, "yield_rate_1s") == [in_one]
    assert values(seen, "yield_rate_2s") == [in_two]


def test_a_recording_that_ends_too_soon_counts_only_for_the_shorter_window() -> None:
    seen = observe(talk(CUT_IN, agent=((2_000.0, 5_500.0),), end_ms=5_500.0))
    assert values(seen, "yield_rate_1s") == [0]
    assert values(seen, "yield_rate_2s") == []
