"""Censored percentiles against the textbook, intervals against themselves."""

import numpy as np
import pytest
from duplex_evals.metrics.statistics import draws, interval, quantile, ratio
from hypothesis import given
from hypothesis import strategies as st


def one(values: list[float], censored: list[bool], q: float) -> float:
    weights = np.ones((1, len(values)))
    return float(quantile(np.array(values, float), np.array(censored), q, weights)[0])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.sampled_from([0.5, 0.9, 0.95]))
def test_without_censoring_a_percentile_is_a_value_that_was_measured(
    values: list[int], q: float
) -> None:
    expected = np.percentile(values, 100 * q, method="inverted_cdf")
    assert one([float(v) for v in values], [False] * len(values), q) == expected


def test_a_censored_value_moves_the_median_as_kaplan_and_meier_say() -> None:
    # Survival: 0.8 after 1; one lost at 2; 0.8 * 2/3 after 3; 0.8 * 1/3 after 4.
    values, censored = [1, 2, 3, 4, 5], [False, True, False, False, False]
    assert one(values, censored, 0.5) == 4
    assert one(values, [False] * 5, 0.5) == 3
    assert one([300, 5_000, 5_000], [False, True, True], 0.5) == np.inf


def test_misses_push_the_percentiles_of_all_turns_up_to_never() -> None:
    latencies = [500.0] * 6 + [np.inf] * 4
    assert one(latencies, [False] * 10, 0.5) == 500
    assert one(latencies, [False] * 10, 0.9) == np.inf


@given(st.lists(st.integers(0, 9), min_size=2, max_size=12), st.integers(0, 99))
def test_drawing_a_conversation_twice_counts_its_events_twice(values: list[int], seed: int) -> None:
    counts = draws(len(values), seed, resamples=3)
    found = quantile(np.array(values, float), np.zeros(len(values), bool), 0.5, counts)
    for row, median in zip(counts, found, strict=True):
        repeated = np.repeat(values, row.astype(int))
        assert median == np.percentile(repeated, 50, method="inverted_cdf")


def test_intervals_are_seeded_and_cover_the_truth_about_as_often_as_they_say() -> None:
    assert (draws(7, 1) == draws(7, 1)).all()
    assert (draws(7, 1) != draws(7, 2)).any()
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        hits = (rng.random(60) < 0.4).astype(float)
        low, high = interval(ratio(hits, np.ones(60), draws(60)))
        covered += low <= 0.4 <= high
    assert 180 <= covered <= 198


def test_a_ratio_over_nothing_is_not_a_number_and_does_not_spoil_the_interval() -> None:
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = ratio(np.array([1.0, 3.0]), np.array([2.0, 0.0]), weights)
    assert found[0] == 0.5
    assert np.isnan(found[1])
    assert interval(found) == (0.5, 0.5)


def test_an_interval_of_nothing_is_not_a_number() -> None:
    assert np.isnan(interval(np.array([np.nan]))).all()


@pytest.mark.parametrize("conversations", [2, 5, 40])
def test_every_draw_holds_as_many_conversations_as_there_are(conversations: int) -> None:
    assert (draws(conversations).sum(axis=1) == conversations).all()
