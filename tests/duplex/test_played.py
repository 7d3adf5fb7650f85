"""The ring of played sound, on the playback clock, to the sample."""

import numpy as np

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.duplex.played import KEPT_MS, PlayedAudio

SAMPLES_PER_MS = 24


def ticks_of(*levels: float) -> list[np.ndarray]:
    return [np.full(AGENT_TICK_SAMPLES, level, np.float32) for level in levels]


def levels(sound: np.ndarray) -> list[float]:
    return [float(block[0]) for block in sound.reshape(-1, AGENT_TICK_SAMPLES)]


def test_what_a_tick_says_is_heard_from_its_end_on() -> None:
    played = PlayedAudio()
    for pcm in ticks_of(0.1, 0.2, 0.3):
        played.push(pcm)
    heard = played.heard(until_ms=4 * TICK_MS, length_ms=4 * TICK_MS)
    np.testing.assert_allclose(levels(heard), [0.0, 0.1, 0.2, 0.3])
    half = played.heard(until_ms=3 * TICK_MS + 40, length_ms=TICK_MS)
    assert len(half) == AGENT_TICK_SAMPLES
    np.testing.assert_allclose((half[0], half[-1]), (0.2, 0.3))


def test_what_playback_had_not_reached_at_a_flush_was_never_heard() -> None:
    played = PlayedAudio()
    for pcm in ticks_of(0.1, 0.2, 0.3):
        played.push(pcm)
    played.flush(played_ms=2 * TICK_MS + 1)
    played.push(ticks_of(0.4)[0])
    heard = played.heard(until_ms=5 * TICK_MS, length_ms=5 * TICK_MS)
    np.testing.assert_allclose(levels(heard), [0.0, 0.1, 0.2, 0.0, 0.4])
    assert heard[2 * AGENT_TICK_SAMPLES + 24] == 0.0


def test_only_the_last_four_seconds_are_kept() -> None:
    played = PlayedAudio()
    count = KEPT_MS // TICK_MS + 3
    for pcm in ticks_of(*[0.5] * count):
        played.push(pcm)
    end_ms = (count + 1) * TICK_MS
    assert played.heard(end_ms - KEPT_MS, TICK_MS).max() == 0.0
    assert played.heard(end_ms, KEPT_MS).min() == 0.5
    assert played.heard(end_ms + TICK_MS, TICK_MS).max() == 0.0


def test_the_ring_keeps_every_sample_in_its_place() -> None:
    played, rng = PlayedAudio(), np.random.default_rng(0)
    sound = rng.standard_normal((70, AGENT_TICK_SAMPLES)).astype(np.float32)
    for pcm in sound:
        played.push(pcm)
    end_ms = 71 * TICK_MS
    kept = played.heard(end_ms, KEPT_MS)
    np.testing.assert_array_equal(kept, sound[-50:].ravel())
    assert kept.dtype == np.float32
    beyond = played.heard(end_ms + 1, KEPT_MS + 2)
    assert beyond[:SAMPLES_PER_MS].max() == beyond[-SAMPLES_PER_MS:].max() == 0.0
    np.testing.assert_array_equal(beyond[SAMPLES_PER_MS:-SAMPLES_PER_MS], kept)


def test_a_flush_silences_from_its_millisecond_on_even_around_the_end_of_the_ring() -> None:
    played = PlayedAudio()
    for pcm in ticks_of(*[0.5] * 51):  # two ticks lie behind the end of the ring
        played.push(pcm)
    end_ms = 52 * TICK_MS
    played.flush(end_ms - 201)
    heard = played.heard(end_ms, KEPT_MS)
    assert heard[: -201 * SAMPLES_PER_MS].min() == 0.5
    assert not heard[-201 * SAMPLES_PER_MS :].any()


def test_a_flush_of_all_that_is_kept_leaves_silence() -> None:
    for played_ms in (0, 3 * TICK_MS):
        played = PlayedAudio()
        for pcm in ticks_of(*[0.5] * 53):
            played.push(pcm)
        played.flush(played_ms)
        assert not played.heard(54 * TICK_MS, KEPT_MS).any()


def test_a_flush_of_what_has_been_played_changes_nothing() -> None:
    played = PlayedAudio()
    for pcm in ticks_of(0.1, 0.2):
        played.push(pcm)
    played.flush(9_999)
    np.testing.assert_allclose(levels(played.heard(3 * TICK_MS, 2 * TICK_MS)), [0.1, 0.2])
