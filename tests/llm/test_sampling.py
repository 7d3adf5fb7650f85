import numpy as np
import pytest

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.sampling import Sampler, Sampling, phrase_ends

LOGITS = np.log(np.array([0.05, 0.5, 0.3, 0.15], np.float32))


def draws(settings: Sampling, count: int = 2000, seed: int = 0) -> list[int]:
    sampler = Sampler(settings, np.random.default_rng(seed))
    return [sampler.choose(LOGITS) for _ in range(count)]


def test_zero_temperature_takes_the_likeliest() -> None:
    assert set(draws(Sampling(temperature=0))) == {1}


def test_draws_follow_the_distribution() -> None:
    counts = np.bincount(draws(Sampling(temperature=1, top_p=1.0, repetition_penalty=1)))
    np.testing.assert_allclose(counts / counts.sum(), np.exp(LOGITS), atol=0.03)


def test_low_temperature_sharpens() -> None:
    counts = np.bincount(draws(Sampling(temperature=0.5, top_p=1.0)), minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), np.exp(LOGITS) ** 2 / 0.365, atol=0.03)


@pytest.mark.parametrize(("top_p", "kept"), [(0.01, {1}), (0.6, {1, 2}), (0.9, {1, 2, 3})])
def test_nucleus_keeps_the_fewest_that_reach_top_p(top_p: float, kept: set[int]) -> None:
    assert set(draws(Sampling(temperature=1, top_p=top_p))) == kept


def test_top_k_keeps_the_k_likeliest() -> None:
    assert set(draws(Sampling(temperature=5, top_p=1.0, top_k=2))) == {1, 2}


def test_same_seed_same_draws() -> None:
    settings = Sampling(temperature=1)
    assert draws(settings, seed=7) == draws(settings, seed=7) != draws(settings, seed=8)


def test_used_tokens_lose_whatever_the_sign_of_their_logit() -> None:
    sampler = Sampler(Sampling(repetition_penalty=2.0), np.random.default_rng(0))
    for logits in ([1.0, 3.0, 2.0], [-3.0, -1.0, -1.5]):
        array = np.array(logits, np.float32)
        assert sampler.choose(array) == 1
        assert sampler.choose(array, used=[1, 1]) == 2
        assert array.tolist() == logits


def test_what_must_never_be_chosen_is_not_even_when_it_is_sure() -> None:
    sampler = Sampler(Sampling(), np.random.default_rng(0), never=[1, 2])
    logits = np.array([0.0, 9.0, 8.0, 1.0], np.float32)
    assert sampler.choose(logits) == 3
    assert logits[1] == 9.0


def test_settings_out_of_range_are_refused() -> None:
    for settings in ({"temperature": -1.0}, {"top_p": 0.0}, {"top_k": 0}):
        with pytest.raises(ThinkerError):
            Sampling(**settings)


def test_a_phrase_of_an_earlier_reply_is_left_where_something_else_is_nearly_as_likely():
    said = [[5, 1, 2, 3], [4, 1, 2, 0]]
    assert phrase_ends([1, 2], said) == {3, 0}
    assert phrase_ends([2], said) == set()
    sampler = Sampler(Sampling(phrase_penalty=3.0), np.random.default_rng(0))
    logits = np.array([0.0, 1.0, 2.0, 4.0], np.float32)
    assert sampler.choose(logits, continued={3}) == 2
    sure = np.array([0.0, 1.0, 2.0, 9.0], np.float32)
    assert sampler.choose(sure, continued={3}) == 3
    assert sure[3] == 9.0
