"""The thinker's backends on tiny random models, against transformers."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.errors import ContextFull, ThinkerError
from duplex_agent.llm.load import Backend, load_thinker
from duplex_agent.llm.thinker import Thinker, ThinkerState

WIDTH, VOCABULARY = 64, 96


def save_tiny(kind: str, folder: Path, seed: int = 0, flat: bool = False, **changes: object) -> str:
    """A random model of four layers, larger in its weights than an untrained one would be.

    ``flat``: only the last layer attends, so that no cached position depends on another.
    """
    import transformers

    config_class, model_class = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    }[kind]
    sizes: dict[str, object] = {
        "hidden_size": WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 256,
        "initializer_range": 0.2,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(seed)
    model = model_class(config_class(**{**sizes, **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
            if flat and "o_proj" in name and ".3." not in name:
                parameter.zero_()
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(cache))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny("llama", tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny("qwen2", tmp_path_factory.mktemp("models") / "qwen2")


@pytest.fixture(params=["onnx-fp32", "onnx-int8", "transformers", "transformers qwen2"])
def thinker(request: pytest.FixtureRequest, llama: str, qwen: str) -> Thinker:
    backend, _, kind = request.param.partition(" ")
    return load_thinker(qwen if kind else llama, backend, max_length=40)


def some_embeddings(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)


def logits_of(thinker: Thinker, state: ThinkerState, rows: np.ndarray) -> np.ndarray:
    return np.stack([thinker.append(state, row[None]).logits for row in rows])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False, "attention_bias": True, "num_key_value_heads": 4},
        {
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
    ],
    ids=["plain", "untied with biases", "llama3 rotation"],
)
def test_graph_gives_what_transformers_gives(tmp_path: Path, changes: dict[str, object]) -> None:
    name = save_tiny("llama", tmp_path / "model", seed=3, **changes)
    fast, reference = load_thinker(name, "onnx-fp32", 64), load_thinker(name, "transformers", 64)
    one, other = fast.new_state(), reference.new_state()
    for rows in np.split(some_embeddings(30), [7, 8, 9, 13]):
        got, wanted = fast.append(one, rows), reference.append(other, rows)
        assert got.hidden.shape == (len(rows), WIDTH)
        np.testing.assert_allclose(got.hidden, wanted.hidden, atol=2e-4)
        np.testing.assert_allclose(got.logits, wanted.logits, atol=2e-4)


def test_chunk_equals_single_steps(thinker: Thinker, request: pytest.FixtureRequest) -> None:
    # In int8 a last-bit difference between the kernels for one and for several rows may tip an
    # activation to its next level.
    exact = "int8" not in request.node.callspec.id
    rows = some_embeddings(12)
    whole = thinker.append(thinker.new_state(), rows)
    state = thinker.new_state()
    steps = [thinker.append(state, row[None]) for row in rows]
    hidden = np.concatenate([step.hidden for step in steps])
    for got, wanted in ((whole.hidden, hidden), (whole.logits, steps[-1].logits)):
        error = np.abs(got - wanted).max() / np.abs(wanted).max()
        assert error < (1e-5 if exact else 0.03)


def test_interleaved_conversations_equal_solo_ones(thinker: Thinker) -> None:
    first, second = some_embeddings(9, seed=1), some_embeddings(9, seed=2)
    solo = [logits_of(thinker, thinker.new_state(), rows) for rows in (first, second)]
    a, b = thinker.new_state(), thinker.new_state()
    together = [
        (thinker.append(a, x[None]), thinker.append(b, y[None]))
        for x, y in zip(first, second, strict=True)
    ]
    np.testing.assert_array_equal(np.stack([step.logits for step, _ in together]), solo[0])
    np.testing.assert_array_equal(np.stack([step.logits for _, step in together]), solo[1])


def test_cut_conversation_goes_on_as_if_the_rest_had_never_been(thinker: Thinker) -> None:
    rows, other = some_embeddings(10), some_embeddings(6, seed=5)
    straight = logits_of(thinker, thinker.new_state(), rows)
    state = thinker.new_state()
    logits_of(thinker, state, np.concatenate([rows[:4], other]))
    thinker.truncate(state, 4)
    assert state.length == 4
    np.testing.assert_array_equal(logits_of(thinker, state, rows[4:]), straight[4:])
    thinker.truncate(state, 0)
    np.testing.assert_array_equal(logits_of(thinker, state, rows), straight)


@pytest.mark.parametrize("backend", ["onnx-fp32", "onnx-int8", "transformers"])
def test_spliced_conversation_equals_one_read_in_its_new_order(
    tmp_path: Path, backend: Backend
) -> None:
    # Without `flat` what stays would still know of what went: that is what a splice is for.
    name = save_tiny("llama", tmp_path / "flat", seed=4, flat=True)
    thinker = load_thinker(name, backend, max_length=40)
    opening, old, kept, more = np.split(some_embeddings(24), [5, 11, 18])
    filling = thinker.new_state()
    thinker.append(filling, some_embeddings(8, seed=7))
    orders = [
        ((5, 11, None), [opening, kept]),
        ((0, 11, None), [kept]),
        ((5, 18, None), [opening]),
        ((0, 5, filling), [some_embeddings(8, seed=7), old, kept]),
        ((5, 6, filling), [opening, some_embeddings(8, seed=7), old[1:], kept]),
    ]
    for (start, end, new), order in orders:
        state, straight = thinker.new_state(), thinker.new_state()
        for rows in (opening, old, kept):
            thinker.append(state, rows)
        thinker.splice(state, start, end, new)
        for rows in order:
            thinker.append(straight, rows)
        assert state.length == straight.length
        wanted = logits_of(thinker, straight, more)
        error = np.abs(logits_of(thinker, state, more) - wanted).max() / np.abs(wanted).max()
        assert error < (0.03 if backend == "onnx-int8" else 1e-5)


def test_refused_splice_leaves_the_conversation_as_it_was(thinker: Thinker) -> None:
    rows = some_embeddings(31)
    straight = logits_of(thinker, thinker.new_state(), rows)
    state, filling = thinker.new_state(), thinker.new_state()
    thinker.append(state, rows[:30])
    thinker.append(filling, rows[:12])
    for start, end in ((-1, 3), (4, 3), (0, 31)):
        with pytest.raises(ThinkerError, match="replace"):
            thinker.splice(state, start, end)
    with pytest.raises(ContextFull, match="40"):
        thinker.splice(state, 0, 1, filling)
    got = logits_of(thinker, state, rows[30:])
    assert np.abs(got - straight[30:]).max() / np.abs(straight).max() < 0.03


def test_refused_input_leaves_the_conversation_as_it_was(thinker: Thinker) -> None:
    rows = some_embeddings(6)
    straight = logits_of(thinker, thinker.new_state(), rows)
    state = thinker.new_state()
    logits_of(thinker, state, rows[:5])
    broken = rows[5:].copy()
    broken[0, 3] = np.nan
    for bad in (broken, rows[:0], rows[0], rows[:, :-1], np.full_like(rows, np.inf)):
        with pytest.raises(ThinkerError):
            thinker.append(state, bad)
    with pytest.raises(ContextFull, match="40"):
        thinker.append(state, some_embeddings(36))
    for length in (-1, 6):
        with pytest.raises(ThinkerError, match="cut"):
            thinker.truncate(state, length)
    with pytest.raises(ThinkerError, match="token ids"):
        thinker.embed([0, VOCABULARY])
    np.testing.assert_array_equal(logits_of(thinker, state, rows[5:]), straight[5:])


def test_conversation_can_be_filled_to_the_last_position(thinker: Thinker) -> None:
    state = thinker.new_state()
    thinker.append(state, some_embeddings(39))
    thinker.append(state, some_embeddings(1))
    assert state.length == 40
    with pytest.raises(ContextFull):
        thinker.append(state, some_embeddings(1))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's own figures")
def test_a_conversation_takes_memory_only_as_far_as_it_has_come(tmp_path: Path) -> None:
    name = save_tiny("llama", tmp_path / "model", max_position_embeddings=16_384)
    thinker = load_thinker(name, "onnx-fp32", max_length=16_384)
    thinker.append(thinker.new_state(), some_embeddings(1))  # what only the first pass takes
    before = resident_bytes()
    states = [thinker.new_state() for _ in range(4)]
    for state in states:
        thinker.append(state, some_embeddings(1))
    whole = 4 * 4 * 2 * 2 * 16_384 * 16 * 4  # states, layers, kinds, heads, positions, width, bytes
    assert resident_bytes() - before < whole / 20


def test_onnx_names_the_architecture_it_does_not_know(qwen: str) -> None:
    with pytest.raises(ThinkerError, match="qwen2"):
        load_thinker(qwen, "onnx-fp32")


def test_longer_context_than_the_model_has_is_refused(llama: str) -> None:
    with pytest.raises(ThinkerError, match="256"):
        load_thinker(llama, "onnx-fp32", max_length=257)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\xff" * 40)
    for name in (str(tmp_path), str(tmp_path / "x.gguf")):
        with pytest.raises(ThinkerError):
            load_thinker(name, "onnx-fp32")


def test_prepared_files_are_used_again_and_rebuilt_when_damaged(
    tmp_path: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = save_tiny("llama", tmp_path / "model", seed=9)
    rows = some_embeddings(3)

    def load_and_run() -> tuple[np.ndarray, bool]:
        thinker = load_thinker(name, "onnx-int8", max_length=64)
        logits = thinker.append(thinker.new_state(), rows).logits
        return logits, "once" in capfd.readouterr().err

    first, built = load_and_run()
    assert built
    second, built = load_and_run()
    assert not built
    (data,) = (cache / "derived").glob("model-*-int8-*/weights.bin")
    damaged = data.read_bytes()[:-1] + b"\x55"
    data.unlink()
    data.write_bytes(damaged)
    third, built = load_and_run()
    assert built
    for logits in (second, third):
        np.testing.assert_array_equal(logits, first)
