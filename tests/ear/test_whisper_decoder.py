"""The decoder's own graphs: readings do not depend on how they are computed."""

import numpy as np
import pytest

from duplex_agent.ear.whisper_decoder import WhisperDecoder

pytestmark = pytest.mark.assets

WRITTEN = [1867, 318]  # " What is"


@pytest.fixture(scope="module")
def decoder() -> WhisperDecoder:
    return WhisperDecoder("fp32")


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Features with a sentence's changes in them: the decoder has something to say about them."""
    return np.random.default_rng(5).normal(0, 1.2, (60, 384)).astype(np.float32).cumsum(0) / 4


def first_pieces(decoder: WhisperDecoder, sound, **how) -> list[int]:
    return [piece.id for _, piece in zip(range(12), decoder.read(sound, **how), strict=False)]


def test_sound_made_tick_by_tick_reads_as_sound_made_at_once(decoder, features):
    whole = decoder.sound(features)
    ticks = [decoder.sound(tick) for tick in features.reshape(-1, 4, 384)]
    assert np.allclose(np.concatenate(ticks, axis=2), whole, atol=1e-4)
    assert first_pieces(decoder, ticks) == first_pieces(decoder, [whole])


@pytest.mark.parametrize("written", [[], WRITTEN], ids=["from the start", "going on"])
def test_a_draft_changes_nothing(decoder, features, written):
    sound = [decoder.sound(features)]
    read = first_pieces(decoder, sound, written=written)
    assert len(read) > 4
    for draft in (read, read[:3], [*read[:2], 11, 12, *read[4:]], [11, 12], read + [11] * 100):
        assert first_pieces(decoder, sound, written=written, draft=draft) == read


def test_no_reading_is_longer_than_the_sound_allows(decoder, features):
    assert len(list(decoder.read([decoder.sound(features[:4])]))) <= 6
    assert not list(decoder.read([decoder.sound(features)], written=[318] * 446))


def test_a_piece_knows_its_rivals_best_first(decoder, features):
    for _, piece in zip(range(12), decoder.read([decoder.sound(features)]), strict=False):
        shares = [share for _, share in piece.guesses]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-5
        assert all(share >= 0.02 for share in shares[1:])


def test_blocks_of_8_bit_stay_close_to_full_precision(decoder, features):
    sound = [decoder.sound(features)]
    exact, blocks = (next(iter(d.read(sound))) for d in (decoder, WhisperDecoder("int8")))
    assert exact.id == blocks.id
    assert abs(exact.guesses[0][1] - blocks.guesses[0][1]) < 0.1
