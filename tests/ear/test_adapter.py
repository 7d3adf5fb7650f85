"""The neural adapter: streaming equals offline, and what a word gets of its ticks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.ear.adapter import Adapter, AdapterConfig, Tokens
from duplex_agent.ear.adapter_file import load_adapter, save_adapter
from duplex_agent.ear.adapter_stream import AdapterStream
from duplex_agent.ear.encoder import CHARACTERS, FEATURES_PER_TICK
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


def heard(ticks: int = TICKS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(ticks, FEATURES_PER_TICK, SMALL.ear_width, generator=generator)
    letters = torch.randn(ticks, FEATURES_PER_TICK, len(CHARACTERS), generator=generator)
    return features, letters.log_softmax(-1)


@pytest.mark.parametrize("rate", [1, 2])
@torch.inference_mode()
def test_tick_by_tick_equals_the_whole_recording(adapter, rate):
    features, letters = heard()
    whole = adapter.token(adapter.at_rate(adapter.hidden(features[None], letters[None]), rate))
    state = adapter.new_state()
    steps = [adapter.step(state, f, c, rate) for f, c in zip(features, letters, strict=True)]
    given = [tokens for tokens in steps if tokens is not None]
    assert len(given) == TICKS // rate
    assert (torch.stack([t.vectors for t in given]) - whole.vectors[0]).abs().max() < 1e-4
    assert (torch.stack([t.log_shares for t in given]) - whole.log_shares[0]).abs().max() < 1e-4
    assert all(len(keys[0]) == SMALL.context_ticks for keys in state.keys)


@torch.inference_mode()
def test_a_tick_depends_on_its_bounded_past_and_not_on_what_follows(adapter):
    features, letters = heard()
    before = adapter.hidden(features[None], letters[None])
    reach = SMALL.depth * SMALL.context_ticks
    at = 4
    features[at] += 1
    moved = (adapter.hidden(features[None], letters[None]) - before).abs().amax(-1)[0] > 1e-5
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
def test_features_that_are_no_numbers_are_refused_and_forgotten(adapter, wrong):
    features, letters = heard()
    state = adapter.new_state()
    adapter.step(state, features[0], letters[0], 1)
    bad = features[1].clone()
    bad[0, 0] = wrong
    with pytest.raises(AudioError, match="NaN or infinity"):
        adapter.step(state, bad, letters[1], 1)
    again, fresh = adapter.step(state, features[1], letters[1], 1), adapter.new_state()
    adapter.step(fresh, features[0], letters[0], 1)
    straight = adapter.step(fresh, features[1], letters[1], 1)
    assert torch.equal(again.vectors, straight.vectors)


class _Scripted(Adapter):
    """Gives tokens that count the ticks, with blanks as told."""

    def __init__(self, blanks: list[float]) -> None:
        super().__init__(IDS, torch.from_numpy(TABLE[IDS.numpy()]), SMALL)
        self.blanks = iter(blanks)
        self.given = 0

    def step(self, state, features, letters, rate):
        self.given += 1
        blank = torch.tensor([next(self.blanks)])
        return Tokens(torch.full((16,), float(self.given - 1)), blank.log())


def take(blanks: list[float], *words: tuple[int, int], skip_above: float = 0.9) -> list[list[int]]:
    stream = AdapterStream(_Scripted(blanks), 1, skip_above)
    state = stream.new_state()
    for _ in blanks:
        stream.hear(state, *(x[0] for x in heard(1)))
    return [stream.take(state, *word)[:, 0].astype(int).tolist() for word in words]


def test_every_token_goes_to_one_word_and_sure_blanks_to_none():
    blanks = [0.1, 0.95, 0.2, 0.1, 0.99, 0.3]
    assert take(blanks, (0, 2), (3, 5)) == [[0, 2], [3, 5]]
    assert take(blanks, (0, 2), (3, 5), skip_above=1.0) == [[0, 1, 2], [3, 4, 5]]


def test_where_all_is_blank_the_least_sure_token_stays():
    assert take([0.99, 0.91, 0.95], (0, 2)) == [[1]]


def test_a_pause_before_a_word_is_not_told():
    assert take([0.4] * 30, (20, 22)) == [list(range(15, 23))]


def test_what_was_misheard_gives_its_tokens_to_the_words_that_follow():
    stream = AdapterStream(_Scripted([0.1] * 6), 1)
    state = stream.new_state()
    for _ in range(6):
        stream.hear(state, *(x[0] for x in heard(1)))
    assert [len(stream.take(state, *word)) for word in ((0, 1), (2, 3), (4, 4))] == [2, 2, 1]
    stream.take_back(state, 2)
    assert stream.take(state, 2, 5)[:, 0].tolist() == [2, 3, 4, 5]


def test_a_word_without_ticks_of_its_own_is_one_of_silence():
    stream = AdapterStream(_Scripted([0.1]), 1)
    state = stream.new_state()
    silence = stream.adapter.blank_vector.detach().numpy()
    assert np.array_equal(stream.take(state, 0, 0), silence[None])


def test_what_nobody_takes_is_forgotten_in_the_end(adapter):
    stream = AdapterStream(adapter, 1)
    state = stream.new_state()
    for _ in range(400):
        stream.hear(state, *(x[0] for x in heard(1)))
    assert len(state.latest) < 300
    assert stream.take(state, 0, 399).shape[1] == TABLE.shape[1]


def test_a_saved_adapter_is_the_same_adapter(adapter, tmp_path: Path):
    file = tmp_path / "adapter.safetensors"
    save_adapter(file, adapter, "mine")
    again = load_adapter(TABLE, "mine", file, SMALL)
    assert torch.equal(again.ids, IDS)
    features, letters = heard()
    with torch.inference_mode():
        apart = adapter.hidden(features[None], letters[None]) - again.hidden(
            features[None], letters[None]
        )
    assert apart.abs().max() < 0.1


@pytest.mark.parametrize(
    ("backbone", "change", "reason"),
    [
        ("other", {}, "another language model"),
        ("mine", {"ids": torch.tensor([3, 7, 11, 50], dtype=torch.int32)}, "does not have"),
        ("mine", {"ids": torch.tensor([3], dtype=torch.int32)}, "do not fit"),
        ("mine", {"often": torch.full((4,), float("nan"))}, "NaN"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(adapter, tmp_path, backbone, change, reason):
    file = tmp_path / "adapter.safetensors"
    save_adapter(file, adapter, "mine")
    if change:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        with safe_open(file, framework="pt") as stored:
            notes = stored.metadata()
        save_file({**load_file(file), **change}, file, notes)
    with pytest.raises(CheckpointError, match=reason):
        load_adapter(TABLE, backbone, file, SMALL)


def test_another_kind_of_file_is_refused(tmp_path: Path):
    file = tmp_path / "ear.safetensors"
    torch_checkpoint.save(file, {"w": torch.zeros(3)}, {"recipe": "ear"}, int8=False)
    with pytest.raises(CheckpointError, match="no adapter"):
        load_adapter(TABLE, "mine", file, SMALL)
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match="corrupt"):
        load_adapter(TABLE, "mine", file, SMALL)
