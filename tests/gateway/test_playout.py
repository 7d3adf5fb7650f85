"""The queue towards the listener: order, bounds, flush, and what was played."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.gateway.playout import FADE_SAMPLES, FRAME_SAMPLES, LIMIT_MS, Playout

SILENCE = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)


def ramp(block):
    """A block of samples that all differ, so that their order can be checked."""
    start = block * AGENT_TICK_SAMPLES
    return (np.arange(start, start + AGENT_TICK_SAMPLES) / 1e6 + 0.1).astype(np.float32)


def test_what_goes_in_comes_out_in_order_and_is_counted():
    playout = Playout()
    playout.push(ramp(0))
    playout.push(ramp(1))
    out = np.concatenate([playout.pop() for _ in range(8)])
    np.testing.assert_array_equal(out, np.concatenate([ramp(0), ramp(1)]))
    assert playout.played_ms == 160
    assert playout.underruns == 0


def test_an_empty_queue_gives_silence_that_does_not_count_as_played():
    playout = Playout()
    assert not playout.pop().any()
    assert playout.played_ms == 0
    assert playout.underruns == 1


def test_flush_fades_within_8_ms_and_says_what_will_not_be_heard():
    playout = Playout()
    playout.push(np.full(AGENT_TICK_SAMPLES, 0.5, dtype=np.float32))
    playout.push(np.full(AGENT_TICK_SAMPLES, 0.5, dtype=np.float32))
    playout.pop()
    assert playout.flush() == 140 - 8
    frame = playout.pop()
    assert frame[0] == 0.5
    assert (np.diff(frame) <= 0).all()
    assert not frame[FADE_SAMPLES - 1 :].any()
    assert not playout.pop().any()


def test_silence_settles_the_depth_between_its_marks():
    playout = Playout()
    for _ in range(3):
        playout.push(SILENCE)
    for _ in range(20):
        for _ in range(4):
            playout.pop()
        playout.push(SILENCE)
    assert 80 <= playout.depth_ms <= 180
    shallow = Playout()
    for _ in range(20):
        shallow.push(SILENCE)
        for _ in range(4):
            shallow.pop()
    assert shallow.depth_ms >= 40
    assert shallow.underruns == 0


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
            assert frame.shape == (FRAME_SAMPLES,)
            assert np.isfinite(frame).all()
        elif step == "flush":
            playout.flush()
            assert playout.depth_ms <= 8
        else:
            playout.push(SILENCE if step == "silence" else ramp(0))
        assert playout.depth_ms <= LIMIT_MS
