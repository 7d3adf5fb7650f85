"""Concealment of lost packets: it goes on at the pitch of the voice, fades, and never clicks.

Voices here repeat one period of noise exactly, so that only their own pitch continues them.
"""

import numpy as np
import pytest

from duplex_agent.gateway.conceal import Concealer


def voice(period, samples, seed=0):
    """[samples] at 48 kHz in -1..1."""
    once = np.random.default_rng(seed).uniform(-1, 1, period)
    return np.resize(once, samples).astype(np.float32)


def after(past):
    """A concealer that has heard ``past``, in packets of 20 ms."""
    concealer = Concealer()
    for start in range(0, len(past), 960):
        piece = past[start : start + 960]
        assert concealer.heard(piece) is piece
    return concealer


def difference(filler, expected):
    return np.abs(filler - expected).max()


@pytest.mark.parametrize("period", [120, 200, 333, 720])
def test_a_voice_of_67_to_400_hz_goes_on_and_fades_by_a_third(period):
    whole = voice(period, 4000)
    filler = after(whole[:2880]).conceal(960)
    assert filler.dtype == np.float32
    assert difference(filler, whole[2880:3840] * np.linspace(1, 2 / 3, 960)) < 1e-6


@pytest.mark.parametrize(("period", "goes_on"), [(119, False), (120, True)])
def test_400_hz_is_the_highest_pitch(period, goes_on):
    # Only 480 samples and one period before them: no multiple of the period fits.
    past = np.concatenate([100 * voice(2000, 2000, seed=1), voice(period, 480 + period)])
    expected = voice(period, 480 + period + 100)[-100:] * np.linspace(1, 2 / 3, 960)[:100]
    assert (difference(after(past).conceal(960)[:100], expected) < 1e-6) == goes_on


@pytest.mark.parametrize(("period", "goes_on"), [(720, True), (721, False)])
def test_67_hz_is_the_lowest_pitch(period, goes_on):
    whole = voice(period, 3 * 960 + 100)
    expected = whole[-100:] * np.linspace(1, 2 / 3, 960)[:100]
    assert (difference(after(whole[:-100]).conceal(960)[:100], expected) < 1e-6) == goes_on


def test_a_voice_that_has_just_begun_goes_on():
    past = np.concatenate([np.zeros(1000, np.float32), voice(200, 700)])
    expected = voice(200, 800)[-100:] * np.linspace(1, 2 / 3, 960)[:100]
    assert difference(after(past).conceal(960)[:100], expected) < 1e-6


def test_a_voice_is_not_mistaken_for_louder_sound_before_it():
    quiet = voice(200, 780) / 1000
    past = np.concatenate([voice(2000, 1000, seed=1), quiet[:680]])
    expected = quiet[680:] * np.linspace(1, 2 / 3, 960)[:100]
    assert difference(after(past).conceal(960)[:100], expected) < 1e-9


def test_within_three_packets_it_fades_to_silence():
    whole = voice(150, 6000)
    concealer = after(whole[:2880])
    filler = np.concatenate([concealer.conceal(960) for _ in range(3)])
    assert difference(filler, whole[2880:5760] * np.linspace(1, 0, 2880)) < 0.08
    assert filler[-1] == 0
    silence = concealer.conceal(960)
    assert silence.dtype == np.float32
    assert not silence.any()


@pytest.mark.parametrize("length", [192, 960])
def test_after_a_hole_4_ms_are_blended_with_the_repetition(length):
    whole = voice(200, 2880)
    concealer, twin = after(whole), after(whole)
    np.testing.assert_array_equal(concealer.conceal(960), twin.conceal(960))
    bridge = twin.conceal(192)
    came = voice(300, length, seed=2)
    ramp = np.linspace(0, 1, 192, dtype=np.float32)
    expected = np.append(bridge * (1 - ramp) + came[:192] * ramp, came[192:])
    np.testing.assert_array_equal(concealer.heard(came), expected)
    again = voice(300, 960, seed=3)
    assert concealer.heard(again) is again


def test_a_packet_shorter_than_the_blend_is_taken_as_it_is():
    concealer = after(voice(200, 2880))
    concealer.conceal(960)
    came = voice(300, 191, seed=2)
    assert concealer.heard(came) is came


def test_a_second_hole_begins_at_full_loudness_again():
    whole = voice(200, 6000)
    concealer = after(whole[:2880])
    concealer.conceal(960)
    for start in (3840, 4800):
        concealer.heard(whole[start : start + 960])
    expected = whole[5760:] * np.linspace(1, 2 / 3, 960)[:240]
    assert difference(concealer.conceal(960)[:240], expected) < 1e-6
