"""Recipe ``codec``: turn continuous tokens back into audio."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.runtime import torch_checkpoint
from duplex_agent.train.data.agent_speech import prepare_speech, read_corpus
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.recipes.latents import encoder_of
from duplex_agent.train.voice.latent_cache import Tokens, padded_pcm, read_tokens
from duplex_agent.train.voice.pitch import Pitch, read_pitch
from duplex_agent.train.voice.spectral import MultiResolutionSpectralLoss
from duplex_agent.voice.config import FRAMES_PER_TOKEN, MIDDLE_HZ, WINDOW_SAMPLES, CodecConfig
from duplex_agent.voice.reference.codec import OUTPUT_DELAY_SAMPLES, CodecDecoder
from duplex_agent.voice.reference.latents import centred_spectrum

_SEGMENT_TOKENS = 15  # the first one is lead-in: without history it is not judged
_WAVE_WEIGHT, _PITCH_WEIGHT = 1.0, 2.0


@dataclass(frozen=True)
class _Example:
    pcm: NDArray[np.int16]
    tokens: Tokens
    pitch: Pitch


@dataclass(frozen=True)
class CodecBatch:
    """Segments: ``pcm`` [B, n * 1920], ``latents`` [B, n, 48], and per frame [B, n * 8] the
    teacher's log pitch over 90 Hz, whether it is voiced, and the phase of its fundamental.
    """

    pcm: Tensor
    latents: Tensor
    log_pitch: Tensor
    voiced: Tensor
    phase: Tensor


def wave_distance(made: Tensor, real: Tensor) -> Tensor:
    """Distance of complex spectra, errors counted relative to the root of the magnitude."""
    return ((made - real).abs() / (real.abs().sqrt() + 0.1)).mean()


class CodecRecipe(Recipe):
    """Pulses follow the teacher's own phase, so the voiced part is compared as a wave."""

    name = "codec"

    def __init__(self, smoke: bool, config: CodecConfig, batch: int) -> None:
        self.smoke, self.config, self.batch_size = smoke, config, batch
        self.spectral = MultiResolutionSpectralLoss()
        self.examples: list[_Example] = []

    def prepare(self, work: Path) -> None:
        speech = prepare_speech(work, self.smoke)
        columns = zip(
            track(read_corpus(speech), "reading speech", transient=True),
            read_tokens(speech, partial(encoder_of, speech, self.smoke)),
            read_pitch(speech),
            strict=True,
        )
        least = _SEGMENT_TOKENS * AGENT_TICK_SAMPLES
        self.examples = [_Example(u.pcm, t, p) for u, t, p in columns if len(u.pcm) > least]

    def model(self) -> nn.Module:
        return CodecDecoder(self.config)

    def batch(self, step: int, rng: np.random.Generator) -> CodecBatch:
        rows = []
        for index in rng.integers(len(self.examples), size=self.batch_size):
            example = self.examples[index]
            start = int(rng.integers(len(example.pcm) // AGENT_TICK_SAMPLES - _SEGMENT_TOKENS + 1))
            rows.append(_segment(example, start, rng))
        return CodecBatch(*(torch.from_numpy(np.stack(c)) for c in zip(*rows, strict=True)))

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, CodecDecoder)
        rows = len(batch.pcm)
        # What the mouth makes is less exact than the encoder.
        spread = torch.rand(rows, 1, 1, generator=rng) * 0.2
        latents = batch.latents + spread * torch.randn(batch.latents.shape, generator=rng)
        shape, _ = model.shape(latents, model.new_state(rows).tails)
        off = ((shape.log_pitch - batch.log_pitch).abs() * batch.voiced).sum()
        pitch = off / batch.voiced.sum().clamp_min(1)
        with torch.autocast(batch.pcm.device.type, enabled=False):
            real_frames = centred_spectrum(batch.pcm, WINDOW_SAMPLES, model.window)
            true = replace(shape, log_pitch=batch.log_pitch)
            first = torch.randint(1 << 20, (rows,), generator=rng)
            voiced, noise = model.frame_spectra(true, batch.phase, first)
            lead = FRAMES_PER_TOKEN
            wave = wave_distance(voiced[:, lead:], real_frames[:, lead:])
            made, _ = model.overlap_add(voiced + noise, model.new_state(rows).overlap)
            made = made[:, AGENT_TICK_SAMPLES + OUTPUT_DELAY_SAMPLES :]
            real = batch.pcm[:, AGENT_TICK_SAMPLES : batch.pcm.shape[1] - OUTPUT_DELAY_SAMPLES]
            spectral = self.spectral(made, real)
        total = spectral + _WAVE_WEIGHT * wave + _PITCH_WEIGHT * pitch
        parts = {"spectral": spectral, "wave": wave, "pitch": pitch}
        return total, {k: float(v.detach()) for k, v in parts.items()}

    def export(self, model: nn.Module, out: Path) -> None:
        torch_checkpoint.save(
            out / "codec.safetensors", model.state_dict(), {"recipe": self.name}, True
        )


def _segment(
    example: _Example, start: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], ...]:
    """Sound, tokens, log pitch, voicing and phase of the tokens from ``start`` on."""
    tokens = slice(start, start + _SEGMENT_TOKENS)
    samples = slice(start * AGENT_TICK_SAMPLES, (start + _SEGMENT_TOKENS) * AGENT_TICK_SAMPLES)
    frames = slice(start * FRAMES_PER_TOKEN, (start + _SEGMENT_TOKENS) * FRAMES_PER_TOKEN)
    drawn = Tokens(example.tokens.mean[tokens], example.tokens.deviation[tokens]).draw(rng)
    pitch = example.pitch[frames]
    log_pitch = np.log(pitch.hz / np.float32(MIDDLE_HZ))
    pcm = padded_pcm(example.pcm)[samples]
    return pcm, drawn, log_pitch, pitch.voiced.astype(np.float32), pitch.phase


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: about an hour of one core with AMX; smoke: seconds."""
    loop = LoopConfig(steps=4500, lr=1e-3, warmup=100, ema=0.998, clip=5.0)
    if smoke:
        small = CodecConfig(width=64, token_blocks=1, frame_blocks=2)
        loop = replace(loop, steps=120, lr=3e-3, warmup=5, log_every=5, ema=0.9, precision="fp32")
        return CodecRecipe(True, small, batch=4), loop
    return CodecRecipe(False, CodecConfig(), batch=12), loop
