"""The teacher's speech as continuous tokens: encoded once, then read by every recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.train.data.agent_speech import read_corpus
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.voice.reference.latents import LatentEncoder

TOKENS_FILE: Final = "tokens.npz"
TAIL_TICKS: Final = 2
"""Ticks of silence behind every utterance: the mouth learns to fall silent in them."""


@dataclass(frozen=True)
class Tokens:
    """Posterior of an utterance's tokens: mean and standard deviation float16 [ticks, 48]."""

    mean: NDArray[np.float16]
    deviation: NDArray[np.float16]

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A sample: what a decoder must understand is never only the mean (arXiv 2410.16048)."""
        noise = rng.standard_normal(self.mean.shape, dtype=np.float32)
        return self.mean.astype(np.float32) + self.deviation * noise


def padded_pcm(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Audio filled up to whole ticks, and the ticks of silence behind it."""
    ticks = -(-len(pcm) // AGENT_TICK_SAMPLES) + TAIL_TICKS
    padded = np.zeros(ticks * AGENT_TICK_SAMPLES, np.float32)
    padded[: len(pcm)] = pcm / np.float32(32768)
    return padded


@torch.inference_mode()
def _encode(encoder: LatentEncoder, pcm: NDArray[np.int16]) -> Tokens:
    patches = encoder.patches(torch.from_numpy(padded_pcm(pcm))[None])
    mean, log_variance = encoder.posterior(patches[0])
    deviation = (0.5 * log_variance).exp()
    return Tokens(mean.numpy().astype(np.float16), deviation.numpy().astype(np.float16))


def read_tokens(speech: Path, make_encoder: Callable[[], LatentEncoder]) -> list[Tokens]:
    """Tokens of every utterance of the corpus in ``speech``, in its order.

    ``make_encoder`` is called where they have not been encoded yet.
    """
    file = speech / TOKENS_FILE
    if not file.exists():
        encoder = make_encoder()
        utterances = track(read_corpus(speech), "encoding speech", transient=True)
        made = [_encode(encoder, u.pcm) for u in utterances]
        store_arrays(
            file,
            ticks=np.array([len(t.mean) for t in made]),
            mean=np.concatenate([t.mean for t in made]),
            deviation=np.concatenate([t.deviation for t in made]),
        )
    with np.load(file) as stored:
        ends = np.cumsum(stored["ticks"])[:-1]
        means, deviations = np.split(stored["mean"], ends), np.split(stored["deviation"], ends)
    return [Tokens(m, d) for m, d in zip(means, deviations, strict=True)]
