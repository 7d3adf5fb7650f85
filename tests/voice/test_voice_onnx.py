"""On ONNX Runtime and numpy the voice's parts do what PyTorch's modules do."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from served import served_codec, served_mouth

from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.runtime.onnx_graph import quantize_rows
from duplex_agent.runtime.torch_checkpoint import parameters
from duplex_agent.voice.config import LATENT_WIDTH, CodecConfig, FlowConfig, MouthConfig, Sampling
from duplex_agent.voice.excitation import pulse_spectra
from duplex_agent.voice.mouth_onnx import MouthState, OnnxMouth
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.reference.codec import CodecDecoder
from duplex_agent.voice.reference.excitation import pulse_spectra as torch_pulses
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.mouth_file import load_mouth
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.reference.voice import TorchMouth, load_torch_voice
from duplex_agent.voice.text_onnx import OnnxPhones, OnnxTiming
from duplex_agent.voice.voice import Voice, load_voice

_TINY = MouthConfig(
    width=32, layers=2, heads=2, feed_forward=48, window=6, phone_width=8, thinker_width=16,
    flow=FlowConfig(width=24, blocks=2),
)  # fmt: skip
_TEXT = "The museum opens at nine, and closes a little after five. I would bring an umbrella."

Tick = tuple[np.ndarray, np.ndarray, np.ndarray]


def _mouth(sampling: Sampling = Sampling.FLOW_MAP) -> Mouth:
    torch.manual_seed(0)
    mouth = Mouth(_TINY)
    for parameter in mouth.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    torch.nn.init.uniform_(mouth.latent_deviation, 0.5, 2.0)
    mouth.head.sampling = sampling
    return mouth


def _tick(rng: np.random.Generator, batch: int = 1) -> Tick:
    """Slots, the thinker's state and noise."""
    occupancy = rng.random((batch, 12, len(PHONES)), np.float32)
    thinker = rng.standard_normal((batch, _TINY.thinker_width), np.float32)
    return occupancy, thinker, rng.standard_normal((batch, LATENT_WIDTH), np.float32)


def _spoken(voice: Voice, text: str) -> np.ndarray:
    stream = voice.start(3)
    stream.write(text)
    stream.finish()
    pieces = [stream.tick()]
    while not pieces[-1].done:
        pieces.append(stream.tick())
    return np.concatenate([piece.pcm for piece in pieces])


def _close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("sampling", list(Sampling))
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_mouth_steps_as_pytorchs_beyond_the_window(sampling: Sampling, steps: int) -> None:
    mouth = _mouth(sampling)
    slow, fast, rng = TorchMouth(mouth), served_mouth(mouth, "fp32"), np.random.default_rng(1)
    state, fast_state = slow.new_state(2), fast.new_state(2)
    for _ in range(10):
        tick = _tick(rng, 2)
        token, state = slow.step(*tick, state, steps)
        found, fast_state = fast.step(*tick, fast_state, steps)
        _close(found, token)
    _close(fast_state.keys[-1], state.keys[-1])
    _close(fast_state.values[0], state.values[0])
    _close(fast_state.previous, state.previous)
    assert fast_state.position == state.position == 10


def test_the_mouth_goes_on_from_pytorchs_state() -> None:
    mouth = _mouth()
    slow, fast = TorchMouth(mouth), served_mouth(mouth, "fp32")
    tick = _tick(np.random.default_rng(4))
    state = slow.step(*tick, slow.new_state(), 2)[1]
    keys, values = ([x.numpy() for x in side] for side in (state.keys, state.values))
    taken = MouthState(keys, values, state.position, state.previous.numpy())
    _close(fast.step(*tick, taken, 2)[0], slow.step(*tick, state, 2)[0])


def test_two_voices_in_a_batch_do_not_hear_each_other() -> None:
    fast, rng = served_mouth(_mouth(), "fp32"), np.random.default_rng(2)
    first, second = _tick(rng, 2), _tick(rng, 2)
    both = fast.step(*second, fast.step(*first, fast.new_state(2), 2)[1], 2)[0]
    one, two = ([x[1:] for x in tick] for tick in (first, second))
    alone = fast.step(*two, fast.step(*one, fast.new_state(), 2)[1], 2)[0]
    _close(both[1:], alone)


@torch.inference_mode()
def test_the_codec_decodes_as_pytorchs_in_one_go_and_token_by_token() -> None:
    torch.manual_seed(0)
    decoder = CodecDecoder(CodecConfig(width=32, token_blocks=1, frame_blocks=2))
    torch.nn.init.uniform_(decoder.blocks[0].gain, 0.5, 1.0)  # type: ignore[arg-type]
    fast, latents = served_codec(decoder, "fp32"), torch.randn(2, 9, LATENT_WIDTH)
    whole = decoder(latents, decoder.new_state(2))[0].numpy()
    state, pieces = fast.new_state(2), []
    for token in np.split(latents.numpy(), 9, axis=1):
        pcm, state = fast(token, state)
        pieces.append(pcm)
    assert abs(whole).max() > 0.01
    for found in (fast(latents.numpy(), fast.new_state(2))[0], np.concatenate(pieces, axis=1)):
        assert found.dtype == np.float32
        # A last-digit difference in the pitch is a hundred times larger in the hundredth harmonic.
        assert abs(found - whole).max() < 0.003 * abs(whole).max()


@torch.inference_mode()
def test_the_loudest_filters_and_the_outermost_pitches_are_bounded_as_pytorchs() -> None:
    torch.manual_seed(0)
    decoder = CodecDecoder(CodecConfig(width=16, token_blocks=1, frame_blocks=1))
    torch.nn.init.uniform_(decoder.head.bias, -6.0, 6.0)
    torch.nn.init.normal_(decoder.pitch.weight, std=2.0)
    fast, latents = served_codec(decoder, "fp32"), torch.randn(1, 6, LATENT_WIDTH)
    wanted = decoder(latents, decoder.new_state())[0].numpy()
    found = fast(latents.numpy(), fast.new_state())[0]
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.003 * np.sqrt(np.mean(wanted**2))


def test_a_pulse_on_a_sample_has_the_height_of_all_harmonics() -> None:
    hz = np.array([100.0], np.float32)
    turning = np.float32(2 * np.pi / 24_000) * hz
    # Half a sample after the window's middle, the angle is exactly zero.
    phase = (-np.float32(0.5) * turning).astype(np.float64)
    wanted = torch_pulses(torch.from_numpy(hz), torch.from_numpy(phase), torch.hann_window(960))
    found = pulse_spectra(hz, phase)
    assert abs(wanted.numpy()).max() > 100
    np.testing.assert_allclose(found, wanted.numpy(), atol=0.02)


def test_a_streamed_sentence_sounds_as_pytorchs() -> None:
    wanted = _spoken(load_torch_voice(), _TEXT)
    found = _spoken(load_voice(precision="fp32"), _TEXT)
    assert found.shape == wanted.shape
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.003 * np.sqrt(np.mean(wanted**2))


def test_int8_products_take_the_levels_of_the_shipped_file() -> None:
    file = WEIGHTS_DIR / "mouth.safetensors"
    weights = parameters(load_mouth(file)[0])
    with safe_open(file, framework="np") as stored:
        for name in ("layers.0.qkv.weight", "layers.5.down.weight", "head.condition.weight"):
            levels, _ = quantize_rows(weights[name])
            signed = levels.reshape(len(levels), -1).astype(np.int16) - 128
            wanted = stored.get_tensor(name)
            assert np.array_equal(signed[:, : wanted.shape[1]], wanted)
            assert not signed[:, wanted.shape[1] :].any()


def test_int8_inputs_move_a_token_by_little() -> None:
    fast = load_voice().mouth
    assert isinstance(fast, OnnxMouth)
    slow = TorchMouth(load_mouth(WEIGHTS_DIR / "mouth.safetensors")[0])
    rng = np.random.default_rng(5)
    state, slow_state, wanted, found = fast.new_state(), slow.new_state(), [], []
    for _ in range(60):
        slots = np.eye(len(PHONES), dtype=np.float32)[rng.integers(len(PHONES), size=(1, 12))]
        thinker = rng.standard_normal((1, fast.config.thinker_width), np.float32)
        noise = np.float32(0.7) * rng.standard_normal((1, LATENT_WIDTH), np.float32)
        # Both speak on from the same token, or their histories would part.
        state = replace(state, previous=slow_state.previous.numpy())
        heard, state = fast.step(slots, thinker, noise, state, 2)
        token, slow_state = slow.step(slots, thinker, noise, slow_state, 2)
        found.append(heard)
        wanted.append(token)
    tokens = np.concatenate(wanted)
    # The encoder's own posterior leaves more open: 0.1 standard deviations.
    assert np.sqrt(np.mean((np.concatenate(found) - tokens) ** 2)) < 0.03 * tokens.std()


def test_texts_are_spelled_and_timed_as_by_pytorch() -> None:
    slow, fast = load_torch_voice(), load_voice()
    assert isinstance(slow.phones, Phones)
    assert isinstance(slow.timing, Timing)
    assert isinstance(fast.phones, OnnxPhones)
    assert isinstance(fast.timing, OnnxTiming)
    for name in ("look_ahead", "look_back"):
        assert getattr(fast.phones, name) == getattr(slow.phones, name)
        assert getattr(fast.timing, name) == getattr(slow.timing, name)
    assert fast.phones.best_slots("") == []
    assert fast.timing.seconds([]) == []
    for length in (1, 2, 9, 24, 80):
        text = "the museum opens at nine, and closes a little after five. i would bring an"[:length]
        assert fast.phones.best_slots(text) == slow.phones.best_slots(text)
        ids = [index % len(PHONES) for index in range(length)]
        np.testing.assert_allclose(fast.timing.seconds(ids), slow.timing.seconds(ids), rtol=1e-4)


def test_a_state_may_be_gone_on_from_twice() -> None:
    mouth, rng = served_mouth(_mouth(), "fp32"), np.random.default_rng(3)
    one, other = _tick(rng), _tick(rng)
    state = mouth.step(*one, mouth.new_state(), 2)[1]
    first = mouth.step(*one, state, 2)[0]
    mouth.step(*other, mouth.step(*other, state, 2)[1], 2)
    assert np.array_equal(mouth.step(*one, state, 2)[0], first)
    config = CodecConfig(width=16, token_blocks=1, frame_blocks=1)
    codec = served_codec(CodecDecoder(config), "fp32")
    heard = codec(first[None], codec.new_state())[1]
    sound = codec(first[None], heard)[0]
    codec(-first[None], codec(-first[None], heard)[1])
    assert np.array_equal(codec(first[None], heard)[0], sound)


def test_a_process_that_speaks_imports_no_training_framework() -> None:
    load_voice()  # writes its graphs, should they not be cached; that takes the onnx package
    code = (
        "import sys\n"
        "from duplex_agent.voice.voice import load_voice\n"
        "stream = load_voice().start()\n"
        "stream.write('It is half past 9.')\n"
        "stream.finish()\n"
        "assert any(stream.tick().pcm.any() for _ in range(20))\n"
        "heavy = {'torch', 'transformers', 'accelerate', 'gguf', 'onnx'}\n"
        "print(*sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
