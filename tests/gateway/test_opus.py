"""Opus packets and the filter from 48 to 16 kHz."""

import numpy as np
import pytest

from duplex_agent.errors import AudioError
from duplex_agent.gateway.opus import Decimator, packet_samples


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
        pcm = np.sin(2 * np.pi * hz * np.arange(48_000) / 48_000).astype(np.float32)
        decimator = Decimator()
        out = np.concatenate([decimator.push(frame) for frame in pcm.reshape(-1, 960)])
        assert len(out) == 16_000
        return np.sqrt(np.mean(out[400:] ** 2)) * np.sqrt(2)

    assert through(300) == pytest.approx(1, abs=0.01)
    assert through(6800) == pytest.approx(1, abs=0.02)
    assert through(9200) < 1e-3
    assert through(15_000) < 1e-3
