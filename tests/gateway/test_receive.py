"""From Opus packets to ticks: what the user said is what the worker hears."""

import numpy as np
import pytest

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.errors import AudioError
from duplex_agent.gateway.conceal import Concealer
from duplex_agent.gateway.opus import Decimator, OpusEncoder, packet_samples
from duplex_agent.gateway.receive import UserAudio


def tone(hz, seconds, rate, amplitude=0.3):
    t = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def opus(pcm):
    encoder = OpusEncoder()
    return [encoder.encode(frame) for frame in pcm.reshape(-1, 480)]


def level(pcm, hz):
    """Amplitude of one frequency in ``pcm`` at 16 kHz."""
    t = np.arange(len(pcm)) / USER_RATE_HZ
    return 2 * abs(np.mean(pcm * np.exp(-2j * np.pi * hz * t)))


def hear(packets, lost=()):
    audio = UserAudio()
    blocks = []
    for index, packet in enumerate(packets):
        if index not in lost:
            audio.add(index * 960, packet)
        if index % 4 == 3:
            blocks.append(audio.block())
    return audio, np.concatenate(blocks)


def test_a_tone_arrives_at_its_pitch_and_loudness():
    audio, heard = hear(opus(tone(500, 2, AGENT_RATE_HZ)))
    middle = heard[USER_RATE_HZ // 2 : -USER_RATE_HZ // 2]
    assert level(middle, 500) == pytest.approx(0.3, rel=0.1)
    assert level(middle, 620) < 0.01
    assert audio.delay_ms <= 40


def test_every_block_is_one_tick_of_finite_sound_before_during_and_after_the_stream():
    audio = UserAudio()
    packets = opus(tone(300, 0.4, AGENT_RATE_HZ))
    for index in range(40):
        for packet in packets[4 * index : 4 * index + 4]:
            audio.add((4 * index + packets.index(packet)) * 960, packet)
        block = audio.block()
        assert block.shape == (USER_TICK_SAMPLES,)
        assert block.dtype == np.float32
        assert np.isfinite(block).all()


def test_a_lost_packet_leaves_no_hole_and_no_click():
    packets = opus(tone(200, 2, AGENT_RATE_HZ))
    _, whole = hear(packets)
    _, heard = hear(packets, lost={50})
    envelope = np.abs(heard).reshape(-1, 160).max(axis=1)[60:-10]
    assert envelope.min() > 0.15
    # A jump would be a step between neighbours larger than the tone's own slope.
    assert np.abs(np.diff(heard[8000:])).max() < 2.5 * np.abs(np.diff(whole[8000:])).max()


def test_a_long_loss_fades_to_silence():
    _, heard = hear(opus(tone(200, 2, AGENT_RATE_HZ)), lost=set(range(40, 100)))
    assert not heard[-4 * USER_TICK_SAMPLES :].any()


def stalled(pcm):
    """Delay in ms right after a stall of one tick, and four seconds later."""
    audio = UserAudio()
    packets = opus(pcm)
    delays = []
    for index, packet in enumerate(packets):
        if not 40 <= index < 44:
            audio.add(index * 960, packet)
        if index == 44:
            for late in range(40, 44):
                audio.add(late * 960, packets[late])
        if index % 4 == 3:
            audio.block()
            delays.append(audio.delay_ms)
    return delays[12], delays[-1]


def test_delay_left_by_a_stall_goes_away_in_silence():
    after_stall, later = stalled(np.zeros(AGENT_RATE_HZ * 5, dtype=np.float32))
    assert after_stall >= 80
    assert later <= 40


def test_a_small_delay_is_kept_rather_than_cut_out_of_speech():
    after_stall, later = stalled(tone(200, 5, AGENT_RATE_HZ))
    assert later == after_stall


def test_garbage_is_counted_and_does_not_stop_the_stream():
    audio = UserAudio()
    packets = opus(tone(500, 1, AGENT_RATE_HZ))
    rng = np.random.default_rng(1)
    for index, packet in enumerate(packets):
        garbage = [b"", b"\x03", rng.bytes(60), b"\xff" * 3]
        audio.add(index * 960, garbage[index % 4] if index % 5 == 4 else packet)
        if index % 4 == 3:
            assert np.isfinite(audio.block()).all()
    assert audio.undecodable > 0


@pytest.mark.parametrize(
    ("payload", "ms"),
    [
        (b"\x08x", 20),
        (b"\x00x", 10),
        (b"\xe0x", 2.5),
        (b"\xfcx", 20),
        (b"\x79xx", 40),
        (b"\x1b\x02xx", 120),
    ],
)
def test_durations_are_read_from_the_packet(payload, ms):
    assert packet_samples(payload) == ms * 48


def test_what_cannot_be_an_opus_packet_is_refused():
    for payload in (b"", b"\x03", b"\x1b\x00", b"\x1b\x03x"):
        with pytest.raises(AudioError):
            packet_samples(payload)


def test_the_filter_keeps_speech_and_removes_what_would_alias():
    def through(hz):
        pcm = tone(hz, 1, 48_000, 1.0).reshape(-1, 960)
        decimator = Decimator()
        out = np.concatenate([decimator.push(frame) for frame in pcm])
        assert len(out) == USER_RATE_HZ
        return np.sqrt(np.mean(out[400:] ** 2)) * np.sqrt(2)

    assert through(300) == pytest.approx(1, abs=0.01)
    assert through(6800) == pytest.approx(1, abs=0.02)
    assert through(9200) < 1e-3
    assert through(15_000) < 1e-3


def test_concealment_goes_on_at_the_pitch_of_the_voice():
    concealer = Concealer()
    pcm = tone(150, 1, 48_000)
    concealer.heard(pcm)
    filler = concealer.conceal(960)
    expected = tone(150, 1.02, 48_000)[-960:] * np.linspace(1, 2 / 3, 960)
    np.testing.assert_allclose(filler, expected, atol=0.02)
