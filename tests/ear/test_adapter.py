"""The neural adapter: streaming equals offline, and what a word gets of its ticks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.ear.adapter.config import AdapterConfig
from duplex_agent.ear.adapter.graph import listening_graph, token_graph
from duplex_agent.ear.adapter.stream import AdapterStream
from duplex_agent.ear.adapter.tick_adapter import TickAdapter, Token
from duplex_agent.ear.adapter.weights import AdapterWeights, load_adapter
from duplex_agent.ear.encoder_config import CHARACTERS, FEATURES_PER_TICK
from duplex_agent.ear.reference.adapter import Adapter
from duplex_agent.ear.reference.adapter_file import save_adapter
from duplex_agent.errors import AudioError, CheckpointError
from duplex_agent.runtime import torch_checkpoint

SMALL = AdapterConfig(width=32, heads=2, depth=2, context_ticks=6, ear_width=8)
TICKS = 31  # five times what a layer remembers, and half a pair at the end
TABLE = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)
IDS = torch.tensor([3, 7, 11, 40])


@pytest.fixture
def adapter() -> Adapter:
    torch.manual_seed(0)
    adapter = Adapter(IDS, torch.from_numpy(TABLE[IDS.numpy()]), SMALL).eval()
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return adapter


@pytest.fixture
def in_ticks(adapter: Adapter) -> TickAdapter:
    return with_clock(weights_of(adapter))


def weights_of(adapter: Adapter) -> AdapterWeights:
    arrays = {name: p.detach().numpy() for name, p in adapter.named_parameters()}
    return AdapterWeights(arrays, IDS.numpy(), adapter.rows.numpy(), SMALL)


def with_clock(weights: AdapterWeights) -> TickAdapter:
    blank_vector = weights.arrays["blank_vector"]
    return TickAdapter(listening_graph(weights), token_graph(weights), blank_vector, SMALL)


def heard(ticks: int = TICKS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(ticks, FEATURES_PER_TICK, SMALL.ear_width, generator=generator)
    characters = torch.randn(ticks, FEATURES_PER_TICK, len(CHARACTERS), generator=generator)
    return features, characters.log_softmax(-1)


def heard_ticks(ticks: int = TICKS) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(*(part.numpy() for part in heard(ticks)), strict=True))


@pytest.mark.parametrize("rate", [1, 2])
@torch.inference_mode()
def test_tick_by_tick_equals_the_whole_recording(adapter, in_ticks, rate):
    features, characters = heard()
    whole = adapter.token(adapter.at_rate(adapter.hidden(features[None], characters[None]), rate))
    state = in_ticks.new_state()
    steps = [in_ticks.step(state, *tick, rate) for tick in heard_ticks()]
    given = [token for token in steps if token is not None]
    assert len(given) == TICKS // rate
    np.testing.assert_allclose([t.vector for t in given], whole.vectors[0], atol=1e-4)
    np.testing.assert_allclose([t.log_probs for t in given], whole.log_probs[0], atol=1e-4)
    np.testing.assert_allclose([t.blank for t in given], whole.blank[0], atol=1e-4)


@torch.inference_mode()
def test_a_tick_depends_on_its_bounded_past_and_not_on_what_follows(adapter):
    features, characters = heard()
    before = adapter.hidden(features[None], characters[None])
    reach = SMALL.depth * SMALL.context_ticks
    at = 4
    features[at] += 1
    moved = (adapter.hidden(features[None], characters[None]) - before).abs().amax(-1)[0] > 1e-5
    assert not moved[:at].any()
    assert moved[at]
    assert not moved[at + reach + 1 :].any()


@torch.inference_mode()
def test_a_sure_token_is_the_embedding_of_its_id(adapter):
    torch.nn.init.zeros_(adapter.rest.weight)
    torch.nn.init.zeros_(adapter.rest.bias)
    adapter.often[2] = 100.0
    tokens = adapter.token(torch.randn(SMALL.width))
    assert np.allclose(tokens.vectors, TABLE[11], atol=1e-4)
    assert tokens.blank < 1e-6


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_refused_and_forgotten(in_ticks, wrong):
    first, second = heard_ticks(2)
    state, fresh = in_ticks.new_state(), in_ticks.new_state()
    in_ticks.step(state, *first, 1)
    bad = second[0].copy()
    bad[0, 0] = wrong
    with pytest.raises(AudioError, match="NaN or infinity"):
        in_ticks.step(state, bad, second[1], 1)
    in_ticks.step(fresh, *first, 1)
    again, straight = (in_ticks.step(s, *second, 1) for s in (state, fresh))
    assert np.array_equal(again.vector, straight.vector)


class _Scripted:
    """Gives tokens that count the ticks, with blanks as told."""

    blank_vector = np.full(16, 0.5, np.float32)

    def __init__(self, blanks: list[float]) -> None:
        self.blanks = iter(blanks)
        self.given = 0

    def new_state(self):
        return None

    def step(self, state, features, characters, rate):
        self.given += 1
        blank = np.log(np.array([next(self.blanks)], np.float32))
        return Token(np.full(16, self.given - 1, np.float32), blank)


def take(blanks: list[float], *words: tuple[int, int], skip_above: float = 0.9) -> list[list[int]]:
    stream = AdapterStream(_Scripted(blanks), 1, skip_above)
    state = stream.new_state()
    for _ in blanks:
        stream.hear(state, *heard_ticks(1)[0])
    return [stream.take(state, *word)[:, 0].astype(int).tolist() for word in words]


def test_every_token_goes_to_one_word_and_sure_blanks_to_none():
    blanks = [0.1, 0.95, 0.2, 0.1, 0.99, 0.3]
    assert take(blanks, (0, 2), (3, 5)) == [[0, 2], [3, 5]]
    assert take(blanks, (0, 2), (3, 5), skip_above=1.0) == [[0, 1, 2], [3, 4, 5]]


def test_where_all_is_blank_the_least_sure_token_stays():
    assert take([0.99, 0.91, 0.95], (0, 2)) == [[1]]


def test_a_pause_before_a_word_is_not_told():
    assert take([0.4] * 30, (20, 22)) == [list(range(15, 23))]


def test_revised_words_give_their_tokens_to_the_words_that_follow():
    stream = AdapterStream(_Scripted([0.1] * 6), 1)
    state = stream.new_state()
    for _ in range(6):
        stream.hear(state, *heard_ticks(1)[0])
    assert [len(stream.take(state, *word)) for word in ((0, 1), (2, 3), (4, 4))] == [2, 2, 1]
    stream.revise(state, 2)
    assert stream.take(state, 2, 5)[:, 0].tolist() == [2, 3, 4, 5]


def test_a_word_without_ticks_of_its_own_is_one_of_silence():
    stream = AdapterStream(_Scripted([0.1]), 1)
    state = stream.new_state()
    assert np.array_equal(stream.take(state, 0, 0), _Scripted.blank_vector[None])


def test_what_nobody_takes_is_forgotten_in_the_end(in_ticks):
    stream = AdapterStream(in_ticks, 1)
    state = stream.new_state()
    for _ in range(400):
        stream.hear(state, *heard_ticks(1)[0])
    assert len(state.latest) < 300
    assert stream.take(state, 0, 399).shape[1] == TABLE.shape[1]


def test_a_saved_adapter_is_the_same_adapter(adapter, tmp_path: Path):
    file = tmp_path / "adapter.safetensors"
    save_adapter(file, adapter, "mine")
    again = load_adapter(TABLE, "mine", file, SMALL)
    assert np.array_equal(again.ids, IDS)
    assert np.array_equal(again.rows, TABLE[IDS])
    before, after = (with_clock(weights) for weights in (weights_of(adapter), again))
    states = [each.new_state() for each in (before, after)]
    for tick in heard_ticks(5):
        one, other = (a.step(s, *tick, 1) for a, s in zip((before, after), states, strict=True))
        assert np.abs(one.vector - other.vector).max() < 0.1


@pytest.mark.parametrize(
    ("thinker", "change", "reason"),
    [
        ("other", {}, "another language model"),
        ("mine", {"ids": torch.tensor([3, 7, 11, 50], dtype=torch.int32)}, "does not have"),
        ("mine", {"ids": torch.tensor([3], dtype=torch.int32)}, "do not fit"),
        ("mine", {"often": torch.full((4,), float("nan"))}, "NaN"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(adapter, tmp_path, thinker, change, reason):
    file = tmp_path / "adapter.safetensors"
    save_adapter(file, adapter, "mine")
    if change:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        with safe_open(file, framework="pt") as stored:
            notes = stored.metadata()
        save_file({**load_file(file), **change}, file, notes)
    with pytest.raises(CheckpointError, match=reason):
        load_adapter(TABLE, thinker, file, SMALL)


def test_another_kind_of_file_is_refused(tmp_path: Path):
    file = tmp_path / "ear.safetensors"
    torch_checkpoint.save(file, {"w": torch.zeros(3)}, {"recipe": "ear"}, int8=False)
    with pytest.raises(CheckpointError, match="no adapter"):
        load_adapter(TABLE, "mine", file, SMALL)
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match="corrupt"):
        load_adapter(TABLE, "mine", file, SMALL)
