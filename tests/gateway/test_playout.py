"""The queue towards the listener: order, bounds, flush, and what was played.

Exact at 24 kHz: a tick is 1920 samples, a packet 480.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.clock import AGENT_RATE_HZ, AGENT_TICK_SAMPLES
from duplex_agent.gateway.playout import FADE_SAMPLES, FRAME_SAMPLES, LIMIT_MS, Playout

SILENCE = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)


def ramp(block):
    """A block of samples that all differ, so that their order can be checked."""
    start = block * AGENT_TICK_SAMPLES
    return (np.arange(start, start + AGENT_TICK_SAMPLES) / 1e6 + 0.1).astype(np.float32)


def speech(samples):
    """Samples that all differ, none silent."""
    return (np.arange(samples) / 1e6 + 0.1).astype(np.float32)


def hush(samples):
    """Samples that all differ, all silent."""
    return (np.arange(1, samples + 1) * (9e-5 / samples)).astype(np.float32)


def pop_all(playout):
    """Everything that waits, without the silence after it."""
    waiting = playout._queue.size
    frames = [playout.pop() for _ in range(-(-waiting // 480))]
    for frame in frames:
        assert (frame.shape, frame.dtype) == ((480,), np.float32)
    out = np.concatenate([*frames, np.zeros(0, np.float32)])
    assert not out[waiting + FADE_SAMPLES :].any()  # a gap begins with a fade
    return out[:waiting]


def test_what_goes_in_comes_out_in_order_and_is_counted():
    playout = Playout()
    for block in range(25):
        playout.push(ramp(block))
        assert playout.depth_ms == 80
        np.testing.assert_array_equal(pop_all(playout), ramp(block))
    assert (playout.underruns, playout.dropped_ms) == (0, 0)


def test_what_still_waits_has_not_been_played():
    playout = Playout()
    playout.push(speech(1920))
    assert playout.played_ms(80) == 0
    playout.pop()
    assert playout.played_ms(80) == 20
    playout.push(speech(1920))
    assert playout.played_ms(160) == 20
    assert playout.played_ms(100) == 0  # never before the beginning


def test_what_is_missing_is_silence_that_is_counted():
    playout = Playout()
    playout.push(speech(239))
    fade = speech(239)[-1] * (1 - np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32))
    expected = np.concatenate([speech(239), fade, np.zeros(480 - 239 - FADE_SAMPLES)])
    np.testing.assert_allclose(playout.pop(), expected, rtol=1e-6)
    assert playout.underruns == 1
    assert not playout.pop().any()
    assert playout.underruns == 2
    assert playout.pop().dtype == np.float32


def test_flush_fades_within_8_ms_and_says_what_will_not_be_heard():
    playout = Playout()
    playout.push(np.full(AGENT_TICK_SAMPLES, 0.5, dtype=np.float32))
    playout.push(np.full(AGENT_TICK_SAMPLES, 0.5, dtype=np.float32))
    playout.pop()
    assert playout.flush() == 140 - 8
    frame = playout.pop()
    assert (frame[0], frame.dtype) == (0.5, np.float32)
    assert (np.diff(frame) <= 0).all()
    assert not frame[FADE_SAMPLES - 1 :].any()
    assert not playout.pop().any()


def tone(ticks, hz=440):
    """A loud tone, tick by tick."""
    t = np.arange(ticks * AGENT_TICK_SAMPLES) / AGENT_RATE_HZ
    return np.split((0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32), ticks)


def largest_step(pcm):
    return np.abs(np.diff(np.concatenate(pcm))).max()


def stopped(tick):
    """The tick with which the session stops its voice: the sound that would have come, fading."""
    fade = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)
    fade[: AGENT_RATE_HZ // 100] = np.linspace(1, 0, AGENT_RATE_HZ // 100)
    return tick * fade


@pytest.mark.parametrize("depth_ms", [0, 20, 80])
def test_a_flush_does_not_click_however_much_waits(depth_ms):
    playout = Playout()
    *said, last = tone(4)
    heard = []
    for tick in said:
        playout.push(tick)
        heard += [playout.pop() for _ in range(4 if tick is not said[-1] else 4 - depth_ms // 20)]
    assert playout.depth_ms == depth_ms
    unheard_ms = playout.flush(stopped(last))
    assert unheard_ms == max(0, depth_ms - 8)
    after = [playout.pop() for _ in range(4)]
    assert np.abs(after[0][:FADE_SAMPLES]).max() > 0.25
    assert not np.concatenate(after)[FADE_SAMPLES - 1 :].any()
    assert largest_step(heard + after) <= 1.02 * largest_step(said)
    assert playout.underruns == 0


def test_a_flush_in_a_gap_keeps_silent():
    playout = Playout()
    said, last = tone(2)
    playout.push(said)
    heard = [playout.pop() for _ in range(6)]
    playout.flush(stopped(last))
    after = [playout.pop() for _ in range(4)]
    assert not np.concatenate(after).any()
    assert largest_step(heard + after) <= 1.02 * largest_step([said])


def test_after_a_gap_sound_begins_with_a_fade_from_the_last_sample_and_only_once():
    playout = Playout()
    playout.push(speech(480))
    playout.pop()
    gap = playout.pop()
    assert gap[0] == speech(480)[-1]
    playout.flush()
    playout.push(ramp(0))
    playout.push(ramp(1))
    out = pop_all(playout)
    fade = np.linspace(0, 1, FADE_SAMPLES)
    np.testing.assert_allclose(out[:FADE_SAMPLES], ramp(0)[:FADE_SAMPLES] * fade, rtol=1e-6)
    np.testing.assert_array_equal(out[FADE_SAMPLES:1920], ramp(0)[FADE_SAMPLES:])
    np.testing.assert_array_equal(out[1920:], ramp(1))


def test_a_flush_without_a_tick_fades_what_waits_though_it_be_less_than_8_ms():
    playout = Playout()
    playout.push(np.full(FRAME_SAMPLES + 96, 0.5, dtype=np.float32))
    heard = [playout.pop()]
    assert playout.flush() == 0
    assert largest_step([*heard, playout.pop()]) < 0.5 / 90


@pytest.mark.parametrize("flushed", [False, True])
def test_a_gap_begins_and_ends_within_8_ms(flushed):
    down = np.linspace(1, 0, FADE_SAMPLES, dtype=np.float32)
    said = np.linspace(0.1, 0.5, AGENT_TICK_SAMPLES, dtype=np.float32)
    playout = Playout()
    playout.push(said)
    for _ in range(4):
        playout.pop()
    gap = playout.pop()
    np.testing.assert_allclose(gap[:FADE_SAMPLES], 0.5 * down, atol=1e-7)
    assert not gap[FADE_SAMPLES:].any()
    if flushed:
        playout.flush()
    for _ in range(2):
        playout.push(said)
    back = np.concatenate([playout.pop() for _ in range(8)])
    np.testing.assert_allclose(
        back[:FADE_SAMPLES], said[:FADE_SAMPLES] * (1 - down), rtol=0, atol=1e-7
    )
    np.testing.assert_array_equal(back[FADE_SAMPLES:], np.concatenate([said, said])[FADE_SAMPLES:])


@pytest.mark.parametrize("late_ticks", [0, 1, 2])
def test_a_late_tick_leaves_a_gap_without_clicks(late_ticks):
    playout = Playout()
    heard = []
    for tick in (said := tone(6)):
        playout.push(tick)
        heard += [playout.pop() for _ in range(4 + 4 * late_ticks)]
    assert playout.underruns == 6 * 4 * late_ticks
    assert largest_step(heard) <= 1.02 * largest_step(said)


def test_an_overflow_drops_the_oldest_without_a_click():
    playout = Playout()
    first, *more = tone(5)
    playout.push(first)
    heard = [playout.pop()]
    for tick in more:
        playout.push(tick)
    assert playout.dropped_ms == 380 - LIMIT_MS
    heard += [playout.pop() for _ in range(LIMIT_MS // 20)]
    np.testing.assert_array_equal(np.concatenate(heard[2:])[-1920:], more[-1])
    assert largest_step(heard) <= 1.02 * largest_step([first])


@pytest.mark.parametrize(
    ("waiting", "part"),
    [
        (959, slice(0, 480)),  # 39 ms: the first 20 ms once more
        (960, slice(0, 0)),
        (2423, slice(0, 0)),
    ],
)
def test_a_silent_block_is_doubled_in_part_while_less_than_40_ms_wait(waiting, part):
    playout = Playout()
    playout.push(speech(waiting))
    playout.push(hush(1920))
    expected = [speech(waiting), hush(1920), hush(1920)[part]]
    np.testing.assert_array_equal(pop_all(playout), np.concatenate(expected))


def test_a_silent_block_is_shortened_while_more_than_100_ms_wait():
    playout = Playout()
    playout.push(speech(2424))
    playout.push(hush(1920))
    expected = [speech(2424), hush(1920)[480:]]
    np.testing.assert_array_equal(pop_all(playout), np.concatenate(expected))


def test_a_block_is_silent_below_a_ten_thousandth():
    playout = Playout()
    playout.push(np.full(1920, 1e-4, np.float32))
    assert playout.depth_ms == 80
    playout = Playout()
    playout.push(np.full(1920, -0.99e-4, np.float32))
    assert playout.depth_ms == 100
    playout = Playout()
    playout.push(np.zeros(0, np.float32))
    assert playout.depth_ms == 0


def test_past_200_ms_the_oldest_is_dropped_and_what_follows_fades_in():
    playout = Playout()
    playout.push(speech(4800))
    assert (playout.depth_ms, playout.dropped_ms) == (200, 0)
    playout.push(speech(720))
    playout.push(speech(480))
    assert (playout.depth_ms, playout.dropped_ms) == (200, 50)
    out = pop_all(playout)
    np.testing.assert_array_equal(out[192:], [*speech(4800)[1392:], *speech(720), *speech(480)])
    np.testing.assert_allclose(out[:192], speech(4800)[1200:1392] * np.linspace(0, 1, 192))


@pytest.mark.parametrize(("samples", "faded"), [(4800, False), (4801, True)])
def test_200_ms_are_kept_as_they_are_and_one_sample_more_is_not(samples, faded):
    playout = Playout()
    playout.push(speech(samples))
    out = pop_all(playout)
    assert len(out) == 4800
    assert (out[0] == 0) == faded
    np.testing.assert_array_equal(out[192:], speech(samples)[samples - 4608 :])


def test_a_voice_is_never_stretched_or_cut_below_the_limit():
    playout = Playout()
    out = []
    for block in range(20):
        playout.push(ramp(block))
        out += [playout.pop() for _ in range(4)]
    np.testing.assert_array_equal(
        np.concatenate(out), np.concatenate([ramp(block) for block in range(20)])
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["speech", "silence", "pop", "flush"]), max_size=60))
def test_the_queue_is_bounded_and_every_frame_is_whole(steps):
    playout = Playout()
    for step in steps:
        if step == "pop":
            frame = playout.pop()
            assert frame.shape == (480,)
            assert frame.dtype == np.float32
            assert np.isfinite(frame).all()
        elif step == "flush":
            playout.flush()
            assert playout.depth_ms <= 8
        else:
            playout.push(SILENCE if step == "silence" else ramp(0))
        assert playout.depth_ms <= 200
