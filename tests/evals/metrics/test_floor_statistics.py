"""dGSLM's statistics of one conversation, counted by hand."""

from duplex_evals.audio.segments import Span
from duplex_evals.metrics.floor_statistics import observe, overlaps, silences, transfer_offsets
from hand_made import placed, talk, values
from hypothesis import given
from hypothesis import strategies as st

#        0         1000      2000      3000      4000      5000      6000
# user   ##########    ######                         ###########
# agent                         #############   #########
USER: list[Span] = [(0, 1_000), (1_400, 2_000), (4_900, 6_000)]
AGENT: list[Span] = [(2_300, 3_600), (4_000, 5_000)]


def test_pauses_are_of_one_side_and_gaps_between_sides() -> None:
    assert silences(USER, AGENT) == ([(1_000, 1_400), (3_600, 4_000)], [(2_000, 2_300)])
    assert overlaps(USER, AGENT) == [(4_900, 5_000)]


def test_a_transfer_to_the_agent_is_signed_and_a_backchannel_is_none() -> None:
    assert transfer_offsets(USER, AGENT) == [300]
    assert transfer_offsets([(0, 2_000)], [(1_700, 3_000)]) == [-300]
    assert transfer_offsets([(0, 2_000)], [(800, 1_100)]) == []


def test_counts_and_seconds_are_per_minute() -> None:
    turn = placed("turn", *USER)
    seen = observe(talk(turn, agent=tuple(AGENT), end_ms=30_000.0))
    for name, count, seconds in (
        ("ipu_agent", 4, 4.6),
        ("ipu_user", 6, 5.4),
        ("pause", 4, 1.6),
        ("gap", 2, 0.6),
        ("overlap", 2, 0.2),
    ):
        assert values(seen, f"{name}_per_minute") == [count]
        assert values(seen, f"{name}_seconds_per_minute") == [seconds]


def test_what_others_say_is_none_of_the_users_units() -> None:
    seen = observe(talk(placed("background", (0.0, 5_000.0)), end_ms=60_000.0))
    assert values(seen, "ipu_user_per_minute") == [0]


SPANS = st.lists(st.integers(1, 50), min_size=2, max_size=16).map(
    lambda steps: [
        (float(sum(steps[:i])), float(sum(steps[: i + 1]))) for i in range(1, len(steps), 2)
    ]
)


@given(SPANS, SPANS)
def test_speech_silence_and_overlap_add_up_to_the_whole(
    user: list[Span], agent: list[Span]
) -> None:
    def length(spans: list[Span]) -> float:
        return sum(end - start for start, end in spans)

    pauses, between = silences(user, agent)
    ends = [moment for span in user + agent for moment in span]
    speech = length(user) + length(agent) - length(overlaps(user, agent))
    assert speech + length(pauses) + length(between) == max(ends) - min(ends)
