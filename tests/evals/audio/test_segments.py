"""Where speech is found in a channel."""

from itertools import pairwise

import numpy as np
import pytest
import soxr
from duplex_evals.audio.hum import voice_hum
from duplex_evals.audio.segments import Span, merge, overlap_ms, speech_segments
from hypothesis import given, settings
from hypothesis import strategies as st

EDGE_MS = 5.0  # between two pulses of a 120 Hz voice there is little to see


def channel(spans: list[Span], end_ms: float, rate_hz: int = 24_000) -> np.ndarray:
    audio = np.zeros(round(end_ms * 24), np.float32)
    for start, end in spans:
        a, b = round(start * 24), round(end * 24)
        audio[a:b] = voice_hum(a, b)
    if rate_hz == 24_000:
        return audio
    return np.asarray(soxr.resample(audio, 24_000, rate_hz), np.float32)


def assert_near(found: list[Span], expected: list[Span], edge_ms: float = EDGE_MS) -> None:
    assert len(found) == len(expected), found
    assert np.abs(np.array(found) - np.array(expected)).max() <= edge_ms, found


@pytest.mark.assets
@given(
    st.integers(0, 1_000),
    st.lists(st.tuples(st.integers(400, 3_000), st.integers(215, 2_000)), min_size=1, max_size=4),
)
@settings(max_examples=15, deadline=None)
def test_speech_is_found_from_its_first_to_its_last_sample(
    lead: int, units: list[tuple[int, int]]
) -> None:
    spans, at = [], float(lead)
    for length, silence in units:
        spans.append((at, at + length))
        at += length + silence
    assert_near(speech_segments(channel(spans, at), 24_000), spans)


@pytest.mark.assets
def test_two_hundred_milliseconds_of_silence_part_two_units() -> None:
    parted = [(500.0, 1_500.0), (1_715.0, 2_500.0)]
    assert_near(speech_segments(channel(parted, 3_000), 24_000), parted)
    joined = [(500.0, 1_500.0), (1_690.0, 2_500.0)]
    assert_near(speech_segments(channel(joined, 3_000), 24_000), [(500.0, 2_500.0)])


@pytest.mark.assets
@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 6.0])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_neither_loudness_nor_rate_moves_the_edges(gain_db: float, rate_hz: int) -> None:
    spans = [(700.0, 1_900.0), (2_600.0, 3_100.0)]
    audio = channel(spans, 4_000, rate_hz) * np.float32(10 ** (gain_db / 20))
    assert_near(speech_segments(audio, rate_hz), spans, 10.0)


@pytest.mark.assets
def test_a_recording_of_nothing_but_a_short_word_holds_it() -> None:
    assert_near(speech_segments(channel([(0.0, 300.0)], 300), 24_000), [(0.0, 300.0)])


@pytest.mark.assets
def test_noise_between_the_speech_is_no_speech() -> None:
    spans = [(1_000.0, 2_500.0), (4_000.0, 5_500.0)]
    noise = np.random.default_rng(0).standard_normal(7_000 * 24).astype(np.float32)
    noisy = channel(spans, 7_000) + 0.002 * noise  # 30 dB below the speech
    assert_near(speech_segments(noisy, 24_000), spans, 20.0)


@pytest.mark.assets
def test_silence_clicks_and_hum_hold_no_speech() -> None:
    silence = np.zeros(72_000, np.float32)
    clicks = silence.copy()
    clicks[::7_000] = 0.9
    hum = (0.3 * np.sin(2 * np.pi * 50 * np.arange(72_000) / 24_000)).astype(np.float32)
    for audio in (silence, clicks, hum, silence[:0]):
        assert speech_segments(audio, 24_000) == []


@pytest.mark.assets
def test_what_silero_takes_for_no_speech_belongs_to_the_word_that_follows() -> None:
    # The hiss of an "s", the closure of a "t", a vowel: "stop" begins with the hiss.
    audio = channel([(1_150.0, 1_500.0)], 2_500)
    hiss = np.random.default_rng(1).standard_normal(80 * 24).astype(np.float32)
    audio[1_000 * 24 : 1_080 * 24] = 0.02 * np.diff(hiss, append=np.float32(0))
    assert_near(speech_segments(audio, 24_000), [(1_000.0, 1_500.0)])


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8).map(
    lambda pairs: [(float(start), float(start + length)) for start, length in pairs]
)


@given(SPANS, st.integers(0, 10))
def test_merged_spans_cover_the_same_and_lie_further_apart(spans: list[Span], gap: int) -> None:
    merged = merge(spans, gap)
    assert all(two[0] - one[1] > gap for one, two in pairwise(merged))
    assert all(any(a <= s[0] and s[1] <= b for a, b in merged) for s in spans)


@given(SPANS, SPANS)
def test_overlap_is_what_both_cover(one: list[Span], other: list[Span]) -> None:
    left, right = merge(one, 0), merge(other, 0)
    cells = np.arange(100)[:, None] + 0.5

    def covers(spans: list[Span]) -> np.ndarray:
        bounds = np.array(spans).reshape(-1, 2)
        return ((bounds[:, 0] < cells) & (cells < bounds[:, 1])).any(axis=1)

    assert overlap_ms(left, right) == (covers(left) & covers(right)).sum()
