"""From Opus packets to ticks: what the user said is what the worker hears.

Exact: the same parts (decoder, concealment, decimator), driven by hand with what ought to be
played, give the same samples.
"""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from duplex_agent.gateway.conceal import Concealer
from duplex_agent.gateway.opus import Decimator, OpusDecoder
from duplex_agent.gateway.receive import UserAudio

LOST = 960  # samples to conceal
SILENCE = "silence"


def tone(hz, seconds, amplitude=0.3):
    t = np.arange(int(seconds * 48_000)) / 48_000
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def opus(pcm, ms=20.0):
    """``pcm`` at 48 kHz as packets of ``ms``."""
    codec = AudioCodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, "mono", "flt"
    codec.time_base = Fraction(1, 48_000)
    codec.options = {"application": "lowdelay", "frame_duration": str(ms)}
    packets = []
    size = int(ms * 48)
    for start in range(0, len(pcm) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(pcm[None, start : start + size], "flt", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def played(parts):
    """16 kHz sound of ``parts``: packets, pairs of a dropped and a kept one, holes."""
    decoder, concealer, decimator = OpusDecoder(), Concealer(), Decimator()

    def sound(part):
        if part is SILENCE:
            return np.zeros(960, np.float32)
        if isinstance(part, int):
            return concealer.conceal(part)
        if isinstance(part, tuple):
            dropped, kept = sound(part[0]), sound(part[1])
            n = min(192, len(dropped))
            ramp = np.linspace(0, 1, n, dtype=np.float32)
            return np.append(dropped[:n] * (1 - ramp) + kept[:n] * ramp, kept[n:])
        return concealer.heard(decoder.decode(part))

    return np.concatenate([decimator.push(sound(part)) for part in parts])


class Caller:
    """Sends packets in order, a tick's worth at a time, and keeps what comes out."""

    def __init__(self, packets, samples=960):
        self.audio = UserAudio()
        self.packets = packets
        self.samples = samples
        self.sent = 0
        self.heard = []

    def send(self, packets, lost=()):
        for index in range(self.sent, self.sent + packets):
            if index not in lost:
                self.audio.add(index * self.samples, self.packets[index])
        self.sent += packets

    def tick(self):
        self.heard.append(self.audio.block())
        assert self.heard[-1].shape == (1280,)
        assert self.heard[-1].dtype == np.float32

    def ticks(self, number, lost=()):
        for _ in range(number):
            self.send(3840 // self.samples, lost)
            self.tick()

    def assert_heard(self, *parts):
        heard = np.concatenate(self.heard)
        np.testing.assert_array_equal(heard, played(parts)[: len(heard)])


def with_surplus(packets, surplus, samples=960):
    """A caller after a stall that left ``surplus`` packets more than the target, for 12 ticks."""
    caller = Caller(packets, samples)
    caller.ticks(2)
    caller.tick()  # nothing came: this raises the target to 40 ms
    caller.send(6 * 960 // samples + surplus)
    caller.tick()
    caller.ticks(11)
    assert caller.audio.jitter.surplus == surplus * samples
    assert caller.audio.drained_ms == 0
    return caller


def test_a_stream_begins_after_silence_and_comes_whole():
    packets = opus(tone(500, 1))
    caller = Caller(packets)
    caller.ticks(12)
    caller.assert_heard(*[SILENCE] * 4, *packets[3:47])
    assert (caller.audio.packets, caller.audio.undecodable) == (48, 0)
    assert caller.audio.delay_ms == 20


def test_what_a_long_packet_brings_too_much_waits_for_the_next_tick():
    packets = opus(tone(500, 1), 60)
    caller = Caller(packets, 2880)
    assert caller.audio.delay_ms == 0
    caller.send(3)
    caller.tick()
    caller.assert_heard(packets[1], packets[2])
    assert caller.audio.delay_ms == 40
    caller.send(2)
    assert caller.audio.delay_ms == 160
    caller.tick()
    caller.assert_heard(*packets[1:4])
    assert caller.audio.delay_ms == 80


def test_lost_packets_are_concealed_in_their_places():
    packets = opus(tone(200, 1))
    caller = Caller(packets)
    caller.ticks(12, lost={10, 20, 21})
    places = [packet if i not in (10, 20, 21) else LOST for i, packet in enumerate(packets)]
    caller.assert_heard(*[SILENCE] * 4, *places[3:47])


def test_what_is_not_opus_is_counted_and_concealed():
    packets = opus(tone(500, 1))
    packets[8] = packets[9] = b""
    caller = Caller(packets)
    caller.ticks(12)
    caller.assert_heard(*[SILENCE] * 4, *packets[3:8], LOST, LOST, *packets[10:47])
    assert (caller.audio.packets, caller.audio.undecodable) == (48, 2)


def test_what_does_not_decode_is_counted_and_concealed_for_as_long_as_it_claims():
    packets = opus(tone(500, 1))
    # Two frames of 20 ms, said to be of equal size, in an odd number of bytes.
    packets[8] = packets[12] = b"\xf9\x00\x00\x00"
    caller = Caller(packets)
    caller.ticks(12)
    places = [*packets[3:8], 1920, *packets[10:12], 1920, *packets[14:47]]
    caller.assert_heard(*[SILENCE] * 4, *places)
    assert caller.audio.undecodable == 2


def test_random_bytes_do_not_stop_the_stream():
    packets = opus(tone(500, 1))
    rng = np.random.default_rng(1)
    packets[4::5] = [rng.bytes(60) for _ in packets[4::5]]
    caller = Caller(packets)
    caller.ticks(12)
    assert np.isfinite(caller.heard).all()


@pytest.mark.parametrize(
    ("amplitude", "surplus", "drained_ms"),
    [(0.005, 0, 0), (0.005, 1, 20), (0.005, 3, 60), (0.3, 2, 0), (0.3, 3, 20), (0.3, 4, 40)],
)
def test_surplus_is_dropped_in_silence_and_past_60_ms_in_speech_too(amplitude, surplus, drained_ms):
    caller = with_surplus(opus(tone(200, 2, amplitude)), surplus)
    caller.ticks(1)
    assert caller.audio.drained_ms == drained_ms
    assert caller.audio.delay_ms == 40 + 20 * surplus - drained_ms
    caller.ticks(2)
    assert caller.audio.drained_ms == drained_ms


def test_where_packets_were_dropped_the_sound_is_joined_by_a_fade_of_4_ms():
    packets = opus(tone(200, 2))
    caller = with_surplus(packets, 4)
    caller.ticks(1)
    a, b, c, d, *rest = packets[56:62]
    kept = [(a, b), (c, d), *rest]
    caller.assert_heard(*[SILENCE] * 4, *packets[3:8], *[LOST] * 3, *packets[8:56], *kept)


def test_packets_shorter_than_the_fade_are_joined_over_their_whole_length():
    packets = opus(tone(200, 2), 2.5)
    caller = with_surplus(packets, 24, samples=120)
    caller.ticks(1)
    assert caller.audio.drained_ms == 2
    before = [*[SILENCE] * 4, *packets[24:64], *[LOST] * 3, *packets[64:448]]
    caller.assert_heard(*before, (packets[448], packets[449]), *packets[450:481])


def test_a_tone_arrives_at_its_pitch_and_loudness():
    caller = Caller(opus(tone(500, 2)))
    caller.ticks(24)
    heard = np.concatenate(caller.heard)[8000:-8000]

    def level(hz):
        t = np.arange(len(heard)) / 16_000
        return 2 * abs(np.mean(heard * np.exp(-2j * np.pi * hz * t)))

    assert level(500) == pytest.approx(0.3, rel=0.1)
    assert level(620) < 0.01
