"""What is nothing to the agent: stops, answers, and cases that cannot be told."""

import pytest
from duplex_evals.metrics.selectivity import answered, observe, stopped
from hand_made import placed, talk, values
from hypothesis import given
from hypothesis import strategies as st

MM = placed("backchannel", (4_000.0, 4_400.0))
OTHERS = placed("third_party", (4_000.0, 6_000.0))


@given(st.integers(1, 4_000))
def test_a_stop_within_a_second_of_a_backchannel_is_a_false_interruption(stop: int) -> None:
    seen = observe(talk(MM, agent=((1_000.0, 4_000.0 + stop),)))
    error = float(stop <= 1_000)
    assert values(seen, "false_interruption_rate") == [error]
    assert values(seen, "false_interruption_rate_backchannel") == [error]
    assert values(seen, "selectivity_backchannel") == [1 - error]
    assert values(seen, "spurious_response_rate") == []


def test_speaking_on_after_a_breath_is_no_false_interruption() -> None:
    assert stopped(talk(MM, agent=((1_000.0, 4_300.0), (4_800.0, 7_000.0))), MM) is False


@pytest.mark.parametrize(("onset_ms", "spurious"), [(4_001, True), (8_000, True), (8_001, False)])
def test_an_answer_counts_from_the_onset_to_two_seconds_after_the_end(
    onset_ms: float, spurious: bool
) -> None:
    c = talk(OTHERS, agent=((onset_ms, onset_ms + 1_500),))
    assert answered(c, OTHERS) is spurious
    assert values(observe(c), "selectivity_non_directed") == [float(not spurious)]


def test_an_agent_between_two_sentences_cannot_be_told_from_one_that_answers() -> None:
    assert answered(talk(OTHERS, agent=((1_000.0, 3_200.0), (4_500.0, 6_000.0))), OTHERS) is None
    assert answered(talk(OTHERS, agent=((1_000.0, 2_900.0), (4_500.0, 6_000.0))), OTHERS) is True


def test_an_answer_that_is_still_owed_is_not_blamed_on_others() -> None:
    asked = placed("turn", (1_000.0, 2_500.0))
    late = ((4_500.0, 6_000.0),)
    assert answered(talk(asked, OTHERS, agent=late), OTHERS) is None
    on_the_floor = placed("turn", (3_500.0, 5_000.0), expect="backchannel")
    assert answered(talk(on_the_floor, OTHERS, agent=late), OTHERS) is None


def test_an_answer_to_the_next_turn_is_not_spurious() -> None:
    turn = placed("turn", (6_500.0, 7_000.0))
    assert answered(talk(OTHERS, turn, agent=((7_300.0, 9_000.0),)), OTHERS) is False


def test_a_recording_that_ends_within_the_window_tells_nothing() -> None:
    assert answered(talk(OTHERS, end_ms=7_000.0), OTHERS) is None
    assert stopped(talk(MM, agent=((1_000.0, 4_700.0),), end_ms=4_700.0), MM) is None


def test_speech_into_silence_is_unprompted_but_a_greeting_is_not() -> None:
    def rate(agent: tuple[float, float]) -> list[float]:
        return values(observe(talk(agent=(agent,))), "unprompted_speech_rate")

    assert rate((2_000.0, 5_000.0)) == [0]
    assert rate((3_500.0, 5_000.0)) == [1]
    noise = placed("noise", (1_000.0, 2_000.0))
    after_noise = observe(talk(noise, agent=((1_500.0, 2_500.0),)))
    assert values(after_noise, "unprompted_speech_rate") == [1]
    asked = placed("turn", (1_000.0, 2_500.0))
    assert values(observe(talk(asked)), "unprompted_speech_rate") == []
