"""Deadlines under lateness and stalls."""

import pytest

from duplex_agent.gateway.deadlines import Deadlines


def test_steps_do_not_drift_when_each_is_a_little_late():
    deadlines = Deadlines(0.02, 0.1)
    now = 100.0
    for expected in range(50):
        index, wait = deadlines.next(now)
        assert index == expected
        now += wait + 0.003  # a slow step
    assert now == pytest.approx(100 + 49 * 0.02 + 0.003)


def test_a_short_delay_is_made_up_for_and_a_stall_is_skipped():
    deadlines = Deadlines(0.02, 0.1)
    assert deadlines.next(0.0) == (0, 0.0)
    assert [deadlines.next(0.07) for _ in range(3)] == [(1, 0.0), (2, 0.0), (3, 0.0)]
    assert deadlines.skipped == 0
    index, wait = deadlines.next(1.005)
    assert (index, wait) == (50, 0.0)
    assert deadlines.skipped == 46
    index, wait = deadlines.next(1.006)
    assert index == 51
    assert wait == pytest.approx(0.014)
    assert deadlines.next(2.01) == (100, 0.0)
    assert deadlines.skipped == 46 + 48


def test_exactly_as_late_as_allowed_is_no_stall():
    deadlines = Deadlines(0.25, 1.0)
    deadlines.next(8.0)
    assert deadlines.next(9.25) == (1, 0.0)
    assert deadlines.next(10.75) == (11, 0.0)  # was due at 8.5: 9 steps late
