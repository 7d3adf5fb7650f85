"""The decoder's own graphs: hypotheses do not depend on how they are computed."""

import numpy as np
import pytest

from duplex_agent.ear.whisper_decoder import WhisperDecoder

pytestmark = pytest.mark.assets

PREFIX = [1867, 318]  # " What is"


@pytest.fixture(scope="module")
def decoder() -> WhisperDecoder:
    return WhisperDecoder("fp32")


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Features with a sentence's changes in them: the decoder has something to say about them."""
    return np.random.default_rng(5).normal(0, 1.2, (60, 384)).astype(np.float32).cumsum(0) / 4


def first_tokens(decoder: WhisperDecoder, attended, **how) -> list[int]:
    return [
        subword.id for _, subword in zip(range(12), decoder.decode(attended, **how), strict=False)
    ]


def test_cross_attention_made_tick_by_tick_decodes_as_made_at_once(decoder, features):
    whole = decoder.cross_attention(features)
    ticks = [decoder.cross_attention(tick) for tick in features.reshape(-1, 4, 384)]
    assert np.allclose(np.concatenate(ticks, axis=2), whole, atol=1e-4)
    assert first_tokens(decoder, ticks) == first_tokens(decoder, [whole])


@pytest.mark.parametrize("prefix", [[], PREFIX], ids=["from the start", "going on"])
def test_a_draft_changes_nothing(decoder, features, prefix):
    attended = [decoder.cross_attention(features)]
    decoded = first_tokens(decoder, attended, prefix=prefix)
    assert len(decoded) > 4
    for draft in (
        decoded,
        decoded[:3],
        [*decoded[:2], 11, 12, *decoded[4:]],
        [11, 12],
        decoded + [11] * 100,
    ):
        assert first_tokens(decoder, attended, prefix=prefix, draft=draft) == decoded


def test_no_hypothesis_is_longer_than_the_audio_allows(decoder, features):
    assert len(list(decoder.decode([decoder.cross_attention(features[:4])]))) <= 6
    assert not list(decoder.decode([decoder.cross_attention(features)], prefix=[318] * 446))


def test_a_subword_has_its_alternatives_best_first(decoder, features):
    for _, subword in zip(
        range(12), decoder.decode([decoder.cross_attention(features)]), strict=False
    ):
        probs = [prob for _, prob in subword.alternatives]
        assert probs == sorted(probs, reverse=True)
        assert sum(probs) <= 1 + 1e-5
        assert all(prob >= 0.02 for prob in probs[1:])


def test_blocks_of_8_bit_stay_close_to_full_precision(decoder, features):
    attended = [decoder.cross_attention(features)]
    exact, blocks = (next(iter(d.decode(attended))) for d in (decoder, WhisperDecoder("int8")))
    assert exact.id == blocks.id
    assert abs(exact.alternatives[0][1] - blocks.alternatives[0][1]) < 0.1
