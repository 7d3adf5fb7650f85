"""The agent's backchannels, and the base of the divergence."""

import numpy as np
import pytest
from duplex_evals.metrics.backchannel import jensen_shannon, observe
from hand_made import placed, talk, values
from hypothesis import given
from hypothesis import strategies as st

STORY = placed(
    "turn", (0.0, 10_000.0), (10_600.0, 20_000.0), (20_400.0, 30_000.0), expect="backchannel"
)


def hum(*onsets: float) -> tuple[tuple[float, float], ...]:
    return tuple((onset, onset + 400.0) for onset in onsets)


def test_precision_asks_where_they_fall_and_recall_which_pauses_got_one() -> None:
    seen = observe(talk(STORY, agent=hum(5_000, 9_500, 10_700, 15_000), end_ms=34_000.0))
    assert values(seen, "backchannel_precision") == [0, 1, 1, 0]
    assert values(seen, "backchannel_recall") == [1, 0]
    assert values(seen, "backchannel_per_minute") == [8]


def test_a_second_of_speech_is_no_backchannel() -> None:
    seen = observe(talk(STORY, agent=((10_100.0, 11_100.0),)))
    assert values(seen, "backchannel_precision") == []
    assert values(seen, "backchannel_recall") == [0, 0]
    assert values(seen, "backchannel_jsd") == []


def test_the_divergence_is_one_bit_where_nothing_falls_into_the_windows() -> None:
    assert values(observe(talk(STORY, agent=hum(5_000))), "backchannel_jsd") == pytest.approx([1])


def test_the_divergence_of_a_known_pair_is_in_bits() -> None:
    assert jensen_shannon(np.array([3.0, 0]), np.array([1.0, 1]), base=2) == pytest.approx(
        0.311278, abs=1e-6
    )
    assert jensen_shannon(np.array([1.0, 2]), np.array([7.0, 14]), base=2) == 0


@given(
    st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any),
    st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any),
)
def test_the_divergence_is_symmetric_and_bounded_by_its_base(p: list[int], q: list[int]) -> None:
    one, two = np.array(p, float), np.array(q, float)
    bits = jensen_shannon(one, two, base=2)
    assert 0 <= bits <= 1 + 1e-12
    assert bits == pytest.approx(jensen_shannon(two, one, base=2))
    assert jensen_shannon(one, two) == pytest.approx(bits * np.log(2))
