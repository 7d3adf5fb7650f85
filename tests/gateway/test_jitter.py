"""The jitter buffer against late, lost, doubled, shuffled and drifting packets.

Exact: what every ``pop`` gives, how many samples wait, and every counter. One packet is 20 ms, 960
samples at 48 kHz, and carries its own index.
"""

from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.gateway.jitter import JitterBuffer, JitterCounters, Missing, Packet

WRAP = 1 << 32
FRAME = 960
LOST, LATE, IDLE = Missing.LOST, Missing.LATE, Missing.IDLE


def add(buffer, *indices, origin=0):
    for index in indices:
        buffer.add((origin + index * FRAME) % WRAP, index.to_bytes(4, "big"), FRAME)


def pop(buffer, times=1):
    """What comes out, packets as their index."""
    items = [buffer.pop() for _ in range(times)]
    return [x if isinstance(x, Missing) else int.from_bytes(x.payload, "big") for x in items]


def tick(buffer):
    """One tick of 80 ms."""
    out = pop(buffer, 4)
    buffer.tick_done()
    return out


def playing(left=1):
    """A buffer that has played packet 0 and holds the next ``left`` of 20 ms."""
    buffer = JitterBuffer()
    add(buffer, *range(5))
    assert pop(buffer) == [0]
    add(buffer, *range(5, 1 + left))
    pop(buffer, 4 - left)
    return buffer


def steady(buffer, ticks, first, left):
    """``ticks`` ticks that each leave ``left`` packets; returns the index after the newest."""
    for _ in range(ticks):
        while buffer.depth < (4 + left) * FRAME:
            add(buffer, first)
            first += 1
        assert LATE not in tick(buffer)
        assert buffer.depth == left * FRAME
    return first


def raised(times=1):
    """A buffer whose ticks have run dry ``times`` times, and the index after its newest."""
    buffer = JitterBuffer()
    add(buffer, *range(5))
    tick(buffer)
    for index in range(times):
        add(buffer, 5 + 3 * index, 6 + 3 * index)
        assert tick(buffer)[-1] is LATE
        add(buffer, 7 + 3 * index)
    return buffer, 5 + 3 * times


def counts(buffer):
    """Received, too late, duplicate, concealed, underruns, jumped."""
    return astuple(buffer.counters)


def test_it_begins_once_a_tick_and_the_target_are_here():
    buffer = JitterBuffer()
    assert (buffer.depth, buffer.target, buffer.surplus) == (0, FRAME, 0)
    assert buffer.counters == JitterCounters(0, 0, 0, 0, 0, 0)
    assert pop(buffer) == [IDLE]
    add(buffer, 0, 1, 2, 3)
    buffer.add(4 * FRAME, b"", FRAME - 1)
    assert (pop(buffer), buffer.depth) == ([IDLE], 5 * FRAME - 1)
    buffer.add(5 * FRAME - 1, b"", 120)
    assert pop(buffer) == [0]
    assert counts(buffer) == (6, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("origin", [0, 1_000_000, WRAP // 2 - 960, WRAP - 960, WRAP - 1])
def test_what_came_before_is_not_waited_for_wherever_the_clock_stands(origin):
    buffer = JitterBuffer()
    add(buffer, *range(8), origin=origin)
    assert pop(buffer, 5) == [3, 4, 5, 6, 7]
    assert counts(buffer) == (8, 0, 0, 0, 0, 0)


def test_first_packets_that_come_in_the_wrong_order_are_kept():
    buffer = JitterBuffer()
    add(buffer, 3, 1, 0, 4, 2)
    assert pop(buffer, 5) == [0, 1, 2, 3, 4]
    assert counts(buffer) == (5, 0, 0, 0, 0, 0)


def test_packets_longer_than_a_tick_lose_nothing_at_the_start():
    buffer = JitterBuffer()
    buffer.add(0, b"a", 2880)
    buffer.add(2880, b"b", 2880)
    assert [buffer.pop(), buffer.pop()] == [Packet(b"a", 2880), Packet(b"b", 2880)]


def test_a_packet_that_comes_twice_is_played_once_as_it_first_came():
    buffer = playing()
    add(buffer, 5, 6)
    buffer.add(5 * FRAME, b"other", FRAME)
    buffer.add(5 * FRAME, b"other", 2 * FRAME)
    assert buffer.depth == 3 * FRAME
    assert pop(buffer, 3) == [4, 5, 6]
    assert counts(buffer) == (9, 0, 2, 0, 0, 0)


def test_each_lost_packet_costs_its_own_place():
    buffer = playing()
    add(buffer, 7, 9)
    depths = []
    for expected in (4, LOST, LOST, 7, LOST, 9):
        assert pop(buffer) == [expected]
        depths.append(buffer.depth // FRAME)
    assert depths == [5, 4, 3, 2, 1, 0]
    assert counts(buffer) == (7, 0, 0, 3, 0, 0)


def test_a_hole_of_a_packet_and_a_sample_is_concealed_in_two_steps():
    buffer = playing()
    buffer.add(6 * FRAME + 1, b"\x09", FRAME)
    assert pop(buffer, 2) == [4, LOST]
    assert buffer.depth == FRAME + 1
    assert pop(buffer) == [LOST]
    assert buffer.depth == FRAME
    assert pop(buffer) == [9]


def test_a_packet_whose_place_was_concealed_is_dropped():
    buffer = playing()
    add(buffer, 7)
    assert pop(buffer, 3) == [4, LOST, LOST]
    add(buffer, 6, 5)
    assert pop(buffer) == [7]
    assert counts(buffer) == (8, 2, 0, 2, 0, 0)


def test_what_claims_time_that_was_already_played_is_dropped():
    buffer = playing()
    buffer.add(5 * FRAME, b"\x05", 3 * FRAME)
    add(buffer, 6, 7, 8)
    assert pop(buffer, 3) == [4, 5, 8]
    buffer.add(9 * FRAME, b"\x09", 2 * FRAME)
    buffer.add(10 * FRAME, b"\x0a", 6 * FRAME)
    assert pop(buffer) == [9]
    assert buffer.depth == 0


def test_a_late_packet_is_waited_for_and_played():
    buffer = playing()
    assert pop(buffer, 4) == [4, LATE, LATE, LATE]
    add(buffer, *range(5, 9))
    assert buffer.depth == 4 * FRAME
    assert pop(buffer, 5) == [5, 6, 7, 8, LATE]
    assert counts(buffer) == (9, 0, 0, 0, 4, 0)


@pytest.mark.parametrize(
    ("dry", "next_index", "expected"),
    [
        (1, 8, [LOST, LOST, 8]),  # two of three are not paid for
        (2, 7, [7]),
        (3, 6, [6]),
        (2, 6, [6]),
    ],
)
def test_waiting_pays_for_what_was_lost_meanwhile(dry, next_index, expected):
    buffer = playing(left=0)
    assert pop(buffer, dry) == [LATE] * dry
    add(buffer, next_index)
    assert pop(buffer, len(expected)) == expected


def test_waiting_pays_once():
    buffer = playing(left=0)
    assert pop(buffer, 2) == [LATE, LATE]
    add(buffer, 5)
    buffer.add(7 * FRAME + 1, b"\x07", FRAME)
    assert pop(buffer, 4) == [5, LOST, LOST, 7]


def test_a_hole_of_120_ms_is_filled_and_a_longer_one_jumped_over():
    filled, jumped = playing(), playing()
    add(filled, 11)
    assert pop(filled, 8) == [4, *[LOST] * 6, 11]
    jumped.add(11 * FRAME + 1, b"\x0b", FRAME)
    assert pop(jumped, 2) == [4, 11]
    add(jumped, 30)
    assert pop(jumped) == [30]
    assert counts(filled)[-1] == 0
    assert counts(jumped) == (7, 0, 0, 0, 0, 2)


def test_past_300_ms_the_oldest_is_dropped_and_a_tick_and_the_target_stay():
    buffer = playing(left=0)
    add(buffer, *range(5, 20))
    assert (buffer.depth, counts(buffer)[-1]) == (15 * FRAME, 0)
    buffer.add(20 * FRAME, b"\x14", 120)
    assert (buffer.depth, counts(buffer)[-1]) == (5 * FRAME + 120, 1)
    assert pop(buffer, 6) == [15, 16, 17, 18, 19, 20]


def test_a_raised_target_stays_after_an_overflow_too():
    buffer, first = raised(2)
    assert buffer.target == 3 * FRAME
    assert first == 11
    add(buffer, *range(11, 26))
    assert (pop(buffer), buffer.depth) == ([19], 6 * FRAME)


def test_a_stream_that_starts_over_more_than_a_second_back_is_accepted():
    buffer = JitterBuffer()
    add(buffer, *range(100, 105))
    pop(buffer, 2)
    buffer.add(102 * FRAME - 48_000, b"", FRAME)
    assert counts(buffer) == (6, 1, 0, 0, 0, 0)
    steady(buffer, 12, 105, 3)
    assert buffer.surplus == 2 * FRAME
    head = 104 * FRAME + 12 * 4 * FRAME - 2 * FRAME
    start = head - 48_001
    buffer.add(start, b"\x00", FRAME)
    assert (pop(buffer), buffer.depth, buffer.surplus) == ([IDLE], FRAME, 0)
    add(buffer, 1, 2, 3, 4, origin=start)
    assert pop(buffer, 6) == [0, 1, 2, 3, 4, LATE]
    assert counts(buffer)[1] == 1


def test_the_clock_wraps_while_a_stream_plays():
    buffer = JitterBuffer()
    add(buffer, *range(5), origin=WRAP // 2 - 5 * FRAME)
    assert pop(buffer, 5) == [0, 1, 2, 3, 4]
    add(buffer, 0, 1, 2, 3, origin=WRAP - 2 * FRAME)
    assert pop(buffer, 4) == [0, 1, 2, 3]
    assert counts(buffer) == (9, 0, 0, 0, 0, 1)


@pytest.mark.parametrize(("distance", "restarts"), [(WRAP // 2, True), (WRAP // 2 - 1, False)])
def test_half_the_clock_away_is_the_past_and_less_is_the_future(distance, restarts):
    buffer = playing()
    buffer.add(5 * FRAME + distance, b"\x07", FRAME)
    assert pop(buffer) == [IDLE if restarts else 7]
    assert counts(buffer)[-1] == (0 if restarts else 1)


def test_a_tick_that_runs_dry_raises_the_target_by_a_packet_up_to_120_ms():
    for times, packets in [(1, 2), (2, 3), (5, 6), (7, 6)]:
        assert raised(times)[0].target == packets * FRAME


def test_ten_quiet_seconds_lower_the_target_by_a_packet():
    buffer, first = raised(2)
    first = steady(buffer, 124, first, 1)
    assert buffer.target == 3 * FRAME
    first = steady(buffer, 1, first, 1)
    assert buffer.target == 2 * FRAME
    first = steady(buffer, 124, first, 1)
    assert buffer.target == 2 * FRAME
    first = steady(buffer, 1, first, 1)
    assert buffer.target == FRAME
    steady(buffer, 125, first, 1)
    assert buffer.target == FRAME


def test_trouble_restarts_the_ten_seconds():
    buffer, first = raised(1)
    first = steady(buffer, 124, first, 0)
    assert tick(buffer) == [LATE] * 4
    first = steady(buffer, 124, first, 0)
    assert buffer.target == 3 * FRAME
    steady(buffer, 1, first, 0)
    assert buffer.target == 2 * FRAME


def test_ticks_without_a_stream_are_no_quiet_time():
    buffer, _ = raised(1)
    buffer.add(WRAP - 100_000, b"", FRAME)
    for _ in range(125):
        assert tick(buffer) == [IDLE] * 4
    assert buffer.target == 2 * FRAME


def test_surplus_is_what_the_worst_tick_of_the_last_twelve_left_above_the_target():
    buffer = playing(left=3)
    first = steady(buffer, 5, 4, 5)
    first = steady(buffer, 1, first, 3)
    first = steady(buffer, 5, first, 6)
    assert buffer.surplus == 0
    first = steady(buffer, 1, first, 6)
    assert buffer.surplus == 2 * FRAME
    first = steady(buffer, 5, first, 6)
    assert buffer.surplus == 2 * FRAME
    steady(buffer, 1, first, 6)
    assert buffer.surplus == 5 * FRAME


def test_a_depth_below_the_target_is_no_surplus():
    buffer = playing(left=0)
    steady(buffer, 12, 5, 0)
    assert buffer.surplus == 0


def test_what_was_drained_is_surplus_no_more_and_the_window_goes_on():
    buffer = playing(left=3)
    first = steady(buffer, 12, 4, 4)
    assert buffer.surplus == 3 * FRAME
    buffer.drained(FRAME)
    assert buffer.surplus == 2 * FRAME
    steady(buffer, 12, first, 4)
    assert buffer.surplus == 3 * FRAME


@pytest.mark.parametrize("trouble", ["dry", "overflow", "hole"])
def test_after_trouble_the_surplus_is_measured_again(trouble):
    buffer = playing(left=3)
    first = steady(buffer, 12, 4, 4)
    if trouble == "dry":
        assert tick(buffer) + tick(buffer) == [*range(first - 4, first), *[LATE] * 4]
    elif trouble == "overflow":
        add(buffer, *range(first, first + 12))
        first += 12
    else:
        add(buffer, first + 7)
        assert pop(buffer, 5)[-1] == first + 7
        first += 8
    assert buffer.surplus == 0
    first = steady(buffer, 11, first, 6)
    assert buffer.surplus == 0
    steady(buffer, 1, first, 6)
    assert buffer.surplus == (4 if trouble == "dry" else 5) * FRAME


def run(arrivals, ticks, origin=0):
    """Play ``arrivals`` (20 ms slot -> indices that arrive then), a tick every fourth slot."""
    buffer = JitterBuffer()
    heard = []
    for slot in range(4 * ticks):
        add(buffer, *arrivals(slot), origin=origin)
        if slot % 4 == 3:
            heard.append((slot, tick(buffer)))
    return buffer, heard


def packets_of(heard):
    return [x for _, block in heard for x in block if not isinstance(x, Missing)]


def test_an_even_stream_comes_out_whole_with_one_packet_of_delay():
    _, heard = run(lambda slot: [slot], 50)
    assert packets_of(heard) == list(range(3, 199))


def test_a_sender_that_pauses_its_clock_is_heard_again():
    _, heard = run(lambda slot: [slot] if slot < 40 else [slot - 40] if slot >= 80 else [], 50)
    assert packets_of(heard)[-1] > 100


@settings(max_examples=40, deadline=None)
@given(
    origin=st.sampled_from([0, WRAP - 30 * FRAME, WRAP // 2 - 10 * FRAME]),
    delays=st.lists(st.integers(0, 5), min_size=100, max_size=100),
    lost=st.sets(st.integers(0, 99), max_size=20),
    doubled=st.sets(st.integers(0, 99), max_size=10),
)
def test_whatever_arrives_is_played_once_in_order_and_never_waits_long(
    origin, delays, lost, doubled
):
    def arrivals(slot):
        due = [i for i in range(max(0, slot - 5), min(slot + 1, 100)) if i + delays[i] == slot]
        return [i for i in due if i not in lost for _ in range(2 if i in doubled else 1)]

    buffer, heard = run(arrivals, 30, origin)
    played = packets_of(heard)
    assert played == sorted(set(played))
    assert FRAME <= buffer.target <= 6 * FRAME
    assert buffer.depth <= 15 * FRAME
    assert set(played) <= set(range(100)) - lost
    counters = buffer.counters
    assert len(played) + counters.too_late + counters.duplicate <= counters.received


@settings(max_examples=100, deadline=None)
@given(
    packets=st.lists(
        st.tuples(st.integers(0, WRAP - 1), st.sampled_from([120, 480, 960, 2880, 5760])),
        max_size=60,
    )
)
def test_hostile_timestamps_never_break_or_fill_it(packets):
    buffer = JitterBuffer()
    for at, samples in packets:
        buffer.add(at, b"x", samples)
        assert buffer.depth <= 15 * FRAME + 5760
        buffer.pop()
        buffer.tick_done()
