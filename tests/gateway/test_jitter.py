"""The jitter buffer against late, lost, doubled, shuffled and drifting packets."""

from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.gateway.jitter import FRAME, MAX_DEPTH, MAX_TARGET, JitterBuffer, Missing, Packet

WRAP = 1 << 32


def payload(index):
    return index.to_bytes(4, "big")


def add(buffer, index, origin=0):
    buffer.add((origin + index * FRAME) % WRAP, payload(index), FRAME)


def tick(buffer):
    """One tick of 80 ms: what came out, packets as their index."""
    out = [buffer.pop() for _ in range(4)]
    buffer.tick_done()
    return [int.from_bytes(x.payload, "big") if isinstance(x, Packet) else x for x in out]


def run(arrivals, ticks, origin=0):
    """Play ``arrivals`` (20 ms slot -> indices that arrive then), a tick every fourth slot."""
    buffer = JitterBuffer()
    heard = []
    for slot in range(4 * ticks):
        for index in arrivals(slot):
            add(buffer, index, origin)
        if slot % 4 == 3:
            heard.append((slot, tick(buffer)))
    return buffer, heard


def packets_of(heard):
    return [x for _, block in heard for x in block if not isinstance(x, Missing)]


def delay_packets(heard):
    """Packets that had arrived at the last tick and wait for the next."""
    slot, block = heard[-1]
    return slot - block[-1]


def test_an_even_stream_comes_out_whole_with_one_packet_of_delay():
    _, heard = run(lambda slot: [slot], 50)
    played = packets_of(heard)
    assert played == list(range(played[0], played[0] + len(played)))
    assert delay_packets(heard) == 1


def test_a_lost_packet_costs_its_own_place_and_no_delay():
    _, before = run(lambda slot: [slot], 50)
    buffer, heard = run(lambda slot: [] if slot == 60 else [slot], 50)
    assert 60 not in packets_of(heard)
    assert [x for _, block in heard for x in block].count(Missing.LOST) == 1
    assert delay_packets(heard) == delay_packets(before)
    assert buffer.counters.underruns == 0


def test_a_late_packet_is_dropped_once_its_place_has_been_concealed():
    late = {60: [], 72: [72, 60]}
    buffer, heard = run(lambda slot: late.get(slot, [slot]), 50)
    assert 60 not in packets_of(heard)
    assert buffer.counters.too_late == 1


def test_a_burst_after_a_stall_is_waited_for_and_played_in_order():
    # The network holds six packets (120 ms) back and gives them all at once.
    def arrivals(slot):
        if 40 <= slot < 46:
            return []
        return range(40, 47) if slot == 46 else [slot]

    buffer, heard = run(arrivals, 100)
    played = packets_of(heard)
    assert played == sorted(played)
    assert buffer.counters.underruns > 0
    assert set(range(40, 47)) <= set(played)


def test_delay_that_is_no_longer_needed_is_reported_as_surplus():
    def arrivals(slot):
        if 40 <= slot < 44:
            return []
        return range(40, 45) if slot == 44 else [slot]

    buffer, _ = run(arrivals, 40)
    assert buffer.target == 2 * FRAME  # raised when the buffer ran dry
    surplus = buffer.surplus
    assert surplus >= FRAME
    for slot in range(160, 160 + 4 * 140):
        add(buffer, slot)
        if slot % 4 == 3:
            tick(buffer)
    assert buffer.target == FRAME  # ten seconds without trouble
    assert buffer.surplus == surplus + FRAME
    buffer.drained(FRAME)
    assert buffer.surplus == surplus


def test_a_sender_that_pauses_its_clock_is_heard_again():
    _, heard = run(lambda slot: [slot] if slot < 40 else [slot - 40] if slot >= 80 else [], 50)
    assert packets_of(heard)[-1] > 100


def test_a_hole_of_seconds_is_jumped_over():
    _, heard = run(lambda slot: [slot] if slot < 40 or slot >= 190 else [], 80)
    resumed = [slot for slot, block in heard if slot >= 190 and 200 in block]
    assert resumed
    assert resumed[0] <= 208


def test_a_stream_that_starts_over_far_in_the_past_is_accepted():
    buffer, heard = run(lambda slot: [slot + 10_000] if slot < 100 else [slot - 100], 60)
    assert packets_of(heard)[-1] > 80
    assert buffer.counters.too_late == 0


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
    assert all(len(block) == 4 for _, block in heard)
    assert FRAME <= buffer.target <= MAX_TARGET
    assert buffer.depth <= MAX_DEPTH
    sent = set(range(100)) - lost
    counters = buffer.counters
    assert set(played) <= sent
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
        assert len(buffer._packets) < 200
        buffer.pop()
        buffer.tick_done()
