"""On ONNX Runtime the voice's parts do what PyTorch's modules do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.runtime.onnx_graph import quantize_rows
from duplex_agent.runtime.torch_checkpoint import parameters
from duplex_agent.voice.codec import CodecConfig, CodecDecoder
from duplex_agent.voice.codec_onnx import OnnxCodec
from duplex_agent.voice.flow import FlowConfig, Sampling
from duplex_agent.voice.latents import LATENT_WIDTH
from duplex_agent.voice.mouth import Mouth, MouthConfig
from duplex_agent.voice.mouth_file import load_mouth
from duplex_agent.voice.mouth_onnx import OnnxMouth
from duplex_agent.voice.phones import PHONES
from duplex_agent.voice.text_onnx import OnnxPhones, OnnxTiming
from duplex_agent.voice.voice import Voice, load_torch_voice, load_voice

_TINY = MouthConfig(
    width=32, layers=2, heads=2, feed_forward=48, window=6, phone_width=8, thinker_width=16,
    flow=FlowConfig(width=24, blocks=2),
)  # fmt: skip
_TEXT = "The museum opens at nine, and closes a little after five. I would bring an umbrella."


def _mouth(sampling: Sampling = Sampling.FLOW_MAP) -> Mouth:
    torch.manual_seed(0)
    mouth = Mouth(_TINY)
    for parameter in mouth.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    torch.nn.init.uniform_(mouth.latent_deviation, 0.5, 2.0)
    mouth.head.sampling = sampling
    return mouth


def _spoken(voice: Voice, text: str) -> np.ndarray:
    stream = voice.start(3)
    stream.write(text)
    stream.finish()
    pieces = [stream.tick()]
    while not pieces[-1].done:
        pieces.append(stream.tick())
    return np.concatenate([piece.pcm for piece in pieces])


@pytest.mark.parametrize("sampling", list(Sampling))
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_mouth_steps_as_pytorchs_beyond_the_window(sampling: Sampling, steps: int) -> None:
    mouth = _mouth(sampling)
    fast = OnnxMouth(mouth, "fp32")
    state, fast_state = mouth.new_state(2), fast.new_state(2)
    for _ in range(10):
        slots, thinker = torch.rand(2, 12, len(PHONES)), torch.randn(2, 16)
        noise = torch.randn(2, LATENT_WIDTH)
        token, state = mouth.step(slots, thinker, noise, state, steps)
        found, fast_state = fast.step(slots, thinker, noise, fast_state, steps)
        torch.testing.assert_close(found, token, atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(fast_state.keys[-1], state.keys[-1], atol=2e-5, rtol=2e-5)
    assert fast_state.position == state.position == 10


def test_either_mouth_goes_on_from_the_others_state() -> None:
    mouth = _mouth()
    fast = OnnxMouth(mouth, "fp32")
    tick = torch.rand(1, 12, len(PHONES)), torch.randn(1, 16), torch.randn(1, LATENT_WIDTH)
    state = mouth.step(*tick, mouth.new_state(), 2)[1]
    wanted, after = mouth.step(*tick, state, 2)
    found, fast_after = fast.step(*tick, state, 2)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=2e-5)
    back, _ = mouth.step(*tick, fast_after, 2)
    torch.testing.assert_close(back, mouth.step(*tick, after, 2)[0], atol=2e-5, rtol=2e-5)


@torch.inference_mode()
def test_the_codec_decodes_as_pytorchs_in_one_go_and_token_by_token() -> None:
    torch.manual_seed(0)
    decoder = CodecDecoder(CodecConfig(width=32, token_blocks=1, frame_blocks=2))
    torch.nn.init.uniform_(decoder.blocks[0].gain, 0.5, 1.0)  # type: ignore[arg-type]
    fast, latents = OnnxCodec(decoder, "fp32"), torch.randn(2, 9, LATENT_WIDTH)
    whole, _ = decoder(latents, decoder.new_state(2))
    state, pieces = fast.new_state(2), []
    for token in latents.split(1, dim=1):
        pcm, state = fast(token, state)
        pieces.append(pcm)
    assert whole.abs().max() > 0.01
    for found in (fast(latents, fast.new_state(2))[0], torch.cat(pieces, dim=1)):
        # A last-digit difference in the pitch is a hundred times larger in the hundredth harmonic.
        assert (found - whole).abs().max() < 0.003 * whole.abs().max()


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
    mouth, _ = load_mouth(WEIGHTS_DIR / "mouth.safetensors")
    fast, rng = OnnxMouth(mouth), torch.Generator().manual_seed(5)
    state, wanted, found = mouth.new_state(), [], []
    for _ in range(60):
        slots = torch.eye(len(PHONES))[torch.randint(len(PHONES), (1, 12), generator=rng)]
        thinker = torch.randn(1, mouth.config.thinker_width, generator=rng)
        noise = 0.7 * torch.randn(1, LATENT_WIDTH, generator=rng)
        found.append(fast.step(slots, thinker, noise, state, 2)[0])
        token, state = mouth.step(slots, thinker, noise, state, 2)
        wanted.append(token)
    tokens = torch.cat(wanted)
    # The encoder's own posterior leaves more open: 0.1 standard deviations.
    assert (torch.cat(found) - tokens).square().mean().sqrt() < 0.03 * tokens.std()


def test_texts_are_spelled_and_timed_as_by_pytorch() -> None:
    voice = load_torch_voice()
    phones, timing = voice.phones, voice.timing
    fast_phones, fast_timing = load_voice().phones, load_voice().timing
    assert isinstance(fast_phones, OnnxPhones)
    assert isinstance(fast_timing, OnnxTiming)
    assert fast_phones.best_slots("") == []
    assert fast_timing.seconds([]) == []
    for length in (1, 2, 9, 24, 80):
        text = "the museum opens at nine, and closes a little after five. i would bring an"[:length]
        assert fast_phones.best_slots(text) == phones.best_slots(text)
        ids = [index % len(PHONES) for index in range(length)]
        np.testing.assert_allclose(fast_timing.seconds(ids), timing.seconds(ids), rtol=1e-4)


def test_a_cloned_state_goes_its_own_way() -> None:
    fast = OnnxMouth(_mouth(), "fp32")
    tick = torch.rand(1, 12, len(PHONES)), torch.randn(1, 16), torch.randn(1, LATENT_WIDTH)
    state = fast.step(*tick, fast.new_state(), 2)[1]
    kept = state.clone()
    first = fast.step(*tick, state, 2)[0]
    fast.step(*tick, replace(state, previous=state.previous + 1), 2)
    assert torch.equal(fast.step(*tick, kept, 2)[0], first)
