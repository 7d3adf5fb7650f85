"""Where packets are heard, against hand-made arrivals; and the timeline they are laid out on."""

import numpy as np
from duplex_evals.network.packet_playout import DELAY, LATE_IN_A_ROW, RTP_HZ, PacketPlayout
from duplex_evals.network.timeline import Timeline
from hypothesis import given
from hypothesis import strategies as st

FRAME = RTP_HZ // 50
SECOND = 50
MASK = 0xFFFFFFFF


def play(arrivals, first=0):
    """Places of packets 0, 1, 2... that come at ``arrivals``."""
    playout = PacketPlayout()
    return playout, [playout.place((first + i * FRAME) & MASK, at) for i, at in enumerate(arrivals)]


@given(
    st.lists(st.integers(0, DELAY - 1), min_size=60, max_size=200),
    st.integers(0, MASK),
)
def test_jitter_within_the_delay_is_never_heard(jitter, first):
    arrivals = [i * FRAME + late for i, late in enumerate(jitter)]
    _, places = play(arrivals, first)
    settled = places[SECOND + 3 :]
    assert None not in settled
    assert set(np.diff(settled)) <= {FRAME}
    assert all(place >= at for place, at in zip(settled, arrivals[SECOND + 3 :], strict=True))


def test_sound_plays_a_fixed_delay_after_the_fastest_packet_of_the_first_second():
    arrivals = [i * FRAME + (7 if i == 10 else 500) for i in range(80)]
    _, places = play(arrivals)
    assert places[79] == 79 * FRAME + 7 + DELAY


def test_a_packet_that_misses_its_time_is_late_and_the_next_one_is_in_place():
    arrivals = [i * FRAME for i in range(100)]
    arrivals[80] += DELAY + 1
    _, places = play(arrivals)
    assert places[80] is None
    assert places[81] == places[79] + 2 * FRAME


def test_a_sender_that_falls_behind_for_good_is_followed():
    arrivals = [i * FRAME + (2 * DELAY if i >= 70 else 0) for i in range(120)]
    playout, places = play(arrivals)
    assert places[70:].count(None) == LATE_IN_A_ROW - 1
    assert places[119] == arrivals[119] + DELAY
    assert playout.rebased == 1


def test_a_sender_that_restarts_its_clock_is_a_new_stream():
    playout = PacketPlayout()
    for i in range(60):
        playout.place(i * FRAME, i * FRAME)
    assert playout.place(1_000_000_000, 60 * FRAME) == 60 * FRAME + DELAY


@given(st.integers(0, 48_000), st.integers(1, 20))
def test_what_is_heard_tick_by_tick_is_what_is_heard_at_once(at, ticks):
    rng = np.random.default_rng(at)
    timeline = Timeline(RTP_HZ)
    timeline.write(at, rng.normal(0, 0.1, 30_000).astype(np.float32))
    whole = timeline.heard(0, ticks * 80)
    parts = [timeline.heard(t * 80, (t + 1) * 80) for t in range(ticks)]
    assert len(whole) == ticks * 1920
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-3)


def test_what_waits_is_wiped_and_what_was_heard_stays():
    timeline = Timeline(RTP_HZ)
    timeline.write(-100, np.ones(RTP_HZ, np.float32))
    timeline.wipe(24_000)
    assert timeline.end == 24_000
    heard = timeline.heard(0, 1000)
    assert heard[100:11_900].min() > 0.9
    assert np.abs(heard[12_100:]).max() < 0.01
