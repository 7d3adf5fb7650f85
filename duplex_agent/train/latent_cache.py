"""The latent transform of a corpus: fitted once, then read by every recipe that needs tokens."""

from pathlib import Path
from typing import Final

import numpy as np
import torch

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.model import checkpoint
from duplex_agent.model.latents import LatentTransform
from duplex_agent.train.agent_speech import read_corpus

TRANSFORM_FILE: Final = "latents.safetensors"
_FIT_UTTERANCES = 1500


def fit_transform(speech: Path, target: Path) -> LatentTransform:
    """Fit the latent transform on the first utterances and store it; an existing file is read."""
    transform = LatentTransform()
    if target.exists():
        checkpoint.load_module(transform, checkpoint.load(target)[0])
        return transform
    patches = []
    for utterance, _ in zip(read_corpus(speech), range(_FIT_UTTERANCES), strict=False):
        tokens = len(utterance.pcm) // AGENT_TICK_SAMPLES
        pcm = torch.from_numpy(utterance.pcm[: tokens * AGENT_TICK_SAMPLES] / np.float32(32768))
        patches.append(transform.patches(pcm[None])[0])
    kept = transform.fit(torch.cat(patches))
    tensors = dict(transform.state_dict())
    checkpoint.save(target, tensors, {"variance_kept": f"{kept:.4f}"}, int8=False)
    # fp16 storage rounds the transform: everybody must use the rounded one.
    checkpoint.load_module(transform, checkpoint.load(target)[0])
    return transform
