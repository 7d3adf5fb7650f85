"""Recipe ``latents``: the encoder of continuous speech tokens, with a throw-away spectral decoder.

The decoder here only tells the encoder what a token must hold: the spectrum, the pitch and the
voicing of its 80 ms. Sound is made by the decoder of recipe ``codec``.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.runtime import checkpoint, torch_checkpoint
from duplex_agent.train.data.agent_speech import prepare_speech, read_corpus
from duplex_agent.train.loop import LoopConfig, Recipe, train
from duplex_agent.train.voice.pitch import read_pitch
from duplex_agent.voice.config import FRAMES_PER_TOKEN, LATENT_WIDTH
from duplex_agent.voice.reference.latents import LOW_BINS, MEL_BINS, LatentEncoder

ENCODER_FILE: Final = "latents.safetensors"
MIDDLE_HZ: Final = 90.0
_HIDDEN: Final = 512
# Weight of the prior against errors counted in standard deviations of the log-mel spectrum. Ten
# times more leaves 11 of 64 dimensions in use and blurs the spectrum by a quarter more.
_KL_WEIGHT: Final = 2e-4
_PITCH_WEIGHT, _VOICING_WEIGHT = 2.0, 0.2


class LatentModel(nn.Module):
    """Encoder (ships) and spectral decoder (does not)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = LatentEncoder()
        self.decoder = nn.Sequential(
            nn.Linear(LATENT_WIDTH, _HIDDEN), nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN), nn.GELU(),
            nn.Linear(_HIDDEN, FRAMES_PER_TOKEN * (MEL_BINS + 2)),
        )  # fmt: skip


@dataclass(frozen=True)
class LatentBatch:
    """``patches`` [B, 1024], natural log of the pitch over 90 Hz and voicing [B, 8]."""

    patches: Tensor
    pitch: Tensor
    voiced: Tensor


class LatentRecipe(Recipe):
    """Evidence lower bound on single tokens drawn from the whole corpus."""

    name = "latents"

    def __init__(self, smoke: bool, batch: int) -> None:
        self.smoke, self.batch_size = smoke, batch
        self.corpus: LatentBatch | None = None

    def prepare(self, work: Path) -> None:
        speech = prepare_speech(work, self.smoke)
        encoder = LatentEncoder()
        patches, pitch, voiced = [], [], []
        utterances = track(read_corpus(speech), "spectra", transient=True)
        for utterance, found in zip(utterances, read_pitch(speech), strict=True):
            tokens = len(utterance.pcm) // AGENT_TICK_SAMPLES
            pcm = utterance.pcm[: tokens * AGENT_TICK_SAMPLES] / np.float32(32768)
            patches.append(encoder.patches(torch.from_numpy(pcm)[None])[0].half())
            frames = found[: tokens * FRAMES_PER_TOKEN]
            hz = torch.from_numpy(frames.hz).reshape(-1, FRAMES_PER_TOKEN)
            pitch.append((hz / MIDDLE_HZ).log())
            voiced.append(torch.from_numpy(frames.voiced).reshape(-1, FRAMES_PER_TOKEN))
        self.corpus = LatentBatch(torch.cat(patches), torch.cat(pitch), torch.cat(voiced))

    def model(self) -> nn.Module:
        assert self.corpus is not None
        model = LatentModel()
        patches = self.corpus.patches[:200_000].float()
        model.encoder.mean.copy_(patches.mean(dim=0))
        model.encoder.deviation.copy_(patches.std(dim=0).clamp_min(1e-3))
        return model

    def batch(self, step: int, rng: np.random.Generator) -> LatentBatch:
        corpus = self.corpus
        assert corpus is not None
        drawn = torch.from_numpy(rng.integers(len(corpus.patches), size=self.batch_size))
        return LatentBatch(
            corpus.patches[drawn].float(), corpus.pitch[drawn], corpus.voiced[drawn].float()
        )

    def loss(
        self, model: nn.Module, batch: Any, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, LatentModel)
        mean, log_variance = (x.float() for x in model.encoder.posterior(batch.patches))
        noise = torch.randn(mean.shape, generator=rng)
        made = model.decoder(mean + noise * (0.5 * log_variance).exp()).float()
        mel, pitch, voicing = made.split(
            [FRAMES_PER_TOKEN * MEL_BINS, FRAMES_PER_TOKEN, FRAMES_PER_TOKEN], dim=1
        )
        wanted = (batch.patches - model.encoder.mean) / model.encoder.deviation
        wanted = wanted.reshape(len(mel), FRAMES_PER_TOKEN, MEL_BINS + LOW_BINS)[:, :, :MEL_BINS]
        spectrum = F.l1_loss(mel, wanted.flatten(1))
        off = ((pitch - batch.pitch).abs() * batch.voiced).sum() / batch.voiced.sum().clamp_min(1)
        voicing = F.binary_cross_entropy_with_logits(voicing, batch.voiced)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        total = spectrum + _PITCH_WEIGHT * off + _VOICING_WEIGHT * voicing + _KL_WEIGHT * kl
        parts = {"spectrum": spectrum, "pitch": off, "voicing": voicing, "kl": kl}
        return total, {k: float(v.detach()) for k, v in parts.items()}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, LatentModel)
        tensors = dict(model.encoder.state_dict())
        torch_checkpoint.save(out / ENCODER_FILE, tensors, {"recipe": self.name}, int8=False)


def load_encoder(folder: Path = checkpoint.WEIGHTS_DIR) -> LatentEncoder:
    """The encoder whose weights are in ``folder``. Raises CheckpointError."""
    encoder = LatentEncoder()
    torch_checkpoint.load_module(encoder, torch_checkpoint.load(folder / ENCODER_FILE)[0])
    return encoder.eval()


def encoder_of(speech: Path, smoke: bool) -> LatentEncoder:
    """The shipped encoder; in smoke runs one trained for seconds on the corpus in ``speech``."""
    folder = checkpoint.WEIGHTS_DIR
    if smoke or not (folder / ENCODER_FILE).exists():
        folder = speech.parent / ("latents-smoke" if smoke else "latents")
        if not (folder / ENCODER_FILE).exists():
            train(*build(smoke), folder, out=folder)
    return load_encoder(folder)


def build(smoke: bool) -> tuple[Recipe, LoopConfig]:
    """Full run: a few minutes of one core; smoke: seconds."""
    loop = LoopConfig(steps=5000, lr=2e-3, ema=0.998, final_lr_fraction=0.02, weight_decay=0.0)
    if smoke:
        loop = replace(loop, steps=120, warmup=5, log_every=5, ema=0.9, precision="fp32")
    return LatentRecipe(smoke, batch=64 if smoke else 512), loop
