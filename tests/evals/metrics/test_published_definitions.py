"""Full-Duplex-Bench v1 and tau-voice, as published."""

import numpy as np
import pytest
from duplex_evals.metrics import fdb_v1, tau_voice
from hand_made import placed, talk, values

HELD = placed("turn", (1_000.0, 2_000.0), (3_000.0, 4_000.0))
ASKED = placed("turn", (1_000.0, 4_000.0))
CUT_IN = placed("interruption", (8_000.0, 9_000.0))
STORY = placed("turn", (0.0, 5_000.0), (5_400.0, 10_000.0), expect="backchannel")


@pytest.mark.parametrize(
    ("agent", "taken"),
    [
        (((2_100.0, 3_099.0),), 0),
        (((2_100.0, 3_100.0),), 1),
        (((80.0, 1_080.0),), 1),  # a greeting counts
        (((2_100.0, 2_300.0), (3_000.0, 3_200.0)), 1),  # from the first onset to the last end
        (((3_500.0, 9_000.0),), 0),  # their recording ends with the turn
        (((4_200.0, 9_000.0),), 0),
    ],
)
def test_fdb_pause_handling(agent: tuple[tuple[float, float], ...], taken: int) -> None:
    c = talk(HELD, agent=agent, family="pause_handling")
    assert values(fdb_v1.observe(c), "fdb_v1_pause_tor") == [taken]


def test_fdb_smooth_turn_counts_negative_latency_as_none_and_only_takeovers() -> None:
    def latency(start: float, end: float) -> list[float]:
        c = talk(ASKED, agent=((start, end),), family="smooth_turn")
        return values(fdb_v1.observe(c), "fdb_v1_turn_latency")

    assert latency(4_700, 6_000) == [0.7]
    assert latency(3_800, 6_000) == [0]
    assert latency(4_700, 5_000) == []


def test_fdb_interruption_hears_only_what_begins_after_it() -> None:
    c = talk(
        ASKED, CUT_IN, agent=((4_500.0, 8_400.0), (9_600.0, 12_000.0)), family="user_interruption"
    )
    seen = fdb_v1.observe(c)
    assert values(seen, "fdb_v1_interruption_tor") == [1]
    assert values(seen, "fdb_v1_interruption_latency") == [0.6]


def test_fdb_backchannel_task_has_three_seconds_natural_logarithms_and_a_root() -> None:
    def seen(*agent: tuple[float, float]) -> list[float]:
        found = fdb_v1.observe(talk(STORY, agent=agent, family="agent_backchannel"))
        names = ("tor", "frequency", "jsd")
        return [values(found, f"fdb_v1_backchannel_{name}")[0] for name in names]

    assert seen() == [0, 0, 1]
    far = seen((1_000.0, 1_300.0))
    assert far[:2] == [0, 0.1]
    assert far[2] == pytest.approx(np.sqrt(np.log(2)), abs=1e-3)  # 0.833, the maximum
    assert seen((1_000.0, 4_001.0), (5_100.0, 5_300.0))[:2] == [1, 0.1]


def test_tau_voice_times_responses_and_yields_in_ticks_of_200_ms() -> None:
    c = talk(ASKED, CUT_IN, agent=((4_500.0, 8_450.0), (9_650.0, 12_000.0)))
    seen = tau_voice.observe(c)
    assert values(seen, "tau_voice_l_r") == [0.4, 0.6]
    assert values(seen, "tau_voice_r_r") == [1, 1]
    assert values(seen, "tau_voice_r_y") == [1]
    assert values(seen, "tau_voice_l_y") == [0.6]
    assert values(seen, "tau_voice_i_a") == [0]


def test_tau_voice_yields_within_two_seconds_or_not_at_all() -> None:
    def rate(stop_ms: float) -> list[float]:
        c = talk(ASKED, CUT_IN, agent=((4_500.0, 8_000.0 + stop_ms),))
        return values(tau_voice.observe(c), "tau_voice_r_y")

    assert rate(1_800) == [1]
    assert rate(1_801) == [0]  # speaks in the tick that ends at two seconds


def test_tau_voice_counts_every_start_over_the_user() -> None:
    twice = ((2_000.0, 2_300.0), (3_000.0, 3_300.0))
    assert values(tau_voice.observe(talk(ASKED, agent=twice)), "tau_voice_i_a") == [2]


@pytest.mark.parametrize(
    ("agent", "correct"),
    [
        ((), [1]),
        (((9_900.0, 11_000.0),), [0]),  # answers within two seconds of the end
        (((10_800.0, 12_000.0),), [0]),
        (((11_400.0, 12_000.0),), [1]),
        (((5_000.0, 8_500.0),), [0]),  # stops within one
        (((5_000.0, 9_300.0),), [1]),
    ],
)
def test_tau_voice_selectivity(agent: tuple[tuple[float, float], ...], correct: list[int]) -> None:
    tic = placed("vocal_tic", (8_000.0, 9_000.0))
    assert values(tau_voice.observe(talk(tic, agent=agent)), "tau_voice_s_vt") == correct


def test_tau_voice_does_not_score_a_backchannel_into_silence() -> None:
    mm = placed("backchannel", (8_000.0, 9_000.0))
    assert values(tau_voice.observe(talk(mm)), "tau_voice_s_bc") == []
