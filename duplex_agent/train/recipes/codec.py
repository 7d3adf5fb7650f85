"""Recipe ``codec``: fit the latent transform, then learn to turn its tokens back into sound."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.model import checkpoint
from duplex_agent.model.codec import OUTPUT_DELAY_SAMPLES, CodecConfig, CodecDecoder
from duplex_agent.model.latents import LatentTransform
from duplex_agent.train.agent_speech import prepare_speech, read_corpus
from duplex_agent.train.discriminator import SpectrogramDiscriminator
from duplex_agent.train.latent_cache import TRANSFORM_FILE, fit_transform
from duplex_agent.train.loop import LoopConfig, Recipe
from duplex_agent.train.spectral import MultiResolutionSpectralLoss

_JUDGED_TOKENS = 6


class CodecModel(nn.Module):
    """Decoder (ships) and discriminator (does not)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.decoder = CodecDecoder(config)
        self.discriminator = SpectrogramDiscriminator()


class CodecRecipe(Recipe):
    """Spectral reconstruction first, then an adversarial term that takes the buzz out."""

    name = "codec"

    def __init__(self, smoke: bool, config: CodecConfig, batch: int, adversarial_from: int) -> None:
        self.smoke, self.config = smoke, config
        self.batch_size, self.adversarial_from = batch, adversarial_from
        self.tokens = 14
        self.transform = LatentTransform()
        self.spectral = MultiResolutionSpectralLoss()
        self.pcm: list[NDArray[np.int16]] = []
        self.step = 0

    def prepare(self, work: Path) -> None:
        speech = prepare_speech(work, self.smoke)
        self.transform = fit_transform(speech, speech / TRANSFORM_FILE)
        least = (self.tokens + 1) * AGENT_TICK_SAMPLES
        utterances = track(read_corpus(speech), "reading speech", transient=True)
        self.pcm = [u.pcm for u in utterances if len(u.pcm) > least]

    def model(self) -> nn.Module:
        return CodecModel(self.config)

    def parameter_groups(self, model: nn.Module, lr: float) -> list[dict[str, object]]:
        assert isinstance(model, CodecModel)
        return [
            {"params": list(model.decoder.parameters()), "lr": lr},
            {"params": list(model.discriminator.parameters()), "lr": lr * 0.5},
        ]

    def batch(self, step: int, rng: np.random.Generator) -> Tensor:
        """One token of lead-in, then the segments: [batch, (tokens + 1) * 1920]."""
        self.step = step
        length = (self.tokens + 1) * AGENT_TICK_SAMPLES
        rows = []
        for index in rng.integers(len(self.pcm), size=self.batch_size):
            pcm = self.pcm[index]
            start = rng.integers(len(pcm) - length)
            rows.append(pcm[start : start + length])
        gain = rng.uniform(0.7, 1.1, size=(self.batch_size, 1)).astype(np.float32)
        return torch.from_numpy(np.stack(rows).astype(np.float32) / 32768 * gain)

    def loss(
        self, model: nn.Module, batch: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, CodecModel)
        with torch.autocast(batch.device.type, enabled=False):
            latents = self.transform.encode(batch)
        spread = torch.rand(len(latents), 1, 1, generator=rng) * 0.3
        latents = latents + spread * torch.randn(latents.shape, generator=rng)
        made, _ = model.decoder(latents, model.decoder.new_state(len(latents)))
        # The decoder answers 15 ms late; the first token has no history to work with.
        made = made[:, AGENT_TICK_SAMPLES + OUTPUT_DELAY_SAMPLES :].float()
        real = batch[:, AGENT_TICK_SAMPLES : batch.shape[1] - OUTPUT_DELAY_SAMPLES]
        with torch.autocast(batch.device.type, enabled=False):
            spectral = self.spectral(made, real)
        if self.step < self.adversarial_from:
            figures = {"spectral": float(spectral.detach())}
            return spectral, figures | {"adversarial": math.nan, "judge": math.nan}
        # Judging half a second of each segment halves the cost of the dearest term.
        span = _JUDGED_TOKENS * AGENT_TICK_SAMPLES
        start = int(torch.randint(made.shape[1] - span, (), generator=rng))
        made, real = made[:, start : start + span], real[:, start : start + span]
        judge = model.discriminator.requires_grad_(False)
        adversarial, features = judge.generator_loss(made, real)
        judge.requires_grad_(True)
        caught = judge.discriminator_loss(made.detach(), real)
        total = spectral + 0.3 * adversarial + 1.0 * features + caught
        parts = {"spectral": spectral, "adversarial": adversarial, "judge": caught}
        return total, {k: float(v.detach()) for k, v in parts.items()}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, CodecModel)
        tensors = {f"codec.{k}": v for k, v in model.decoder.state_dict().items()}
        checkpoint.save(out / "codec.safetensors", tensors, {"recipe": self.name}, int8=True)


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: about an hour of one core with AMX; smoke: seconds."""
    loop = LoopConfig(steps=1800, lr=1e-3, warmup=100, ema=0.998, clip=5.0)
    if smoke:
        small = CodecConfig(width=64, token_blocks=1, frame_blocks=2)
        loop = replace(loop, steps=120, lr=3e-3, warmup=5, log_every=5, ema=0.9, precision="fp32")
        return CodecRecipe(True, small, batch=4, adversarial_from=100), loop
    return CodecRecipe(False, CodecConfig(), batch=12, adversarial_from=500), loop
