"""What the recipes after ``mouth`` have in common: they begin with a trained mouth."""

from pathlib import Path

import torch
from torch import nn

from duplex_agent.runtime import checkpoint
from duplex_agent.train.loop import train
from duplex_agent.train.recipes.mouth import MouthRecipe, build
from duplex_agent.voice.config import MouthConfig
from duplex_agent.voice.reference.mouth_file import load_mouth

MOUTH_FILE = "mouth.safetensors"


class ContinuedMouthRecipe(MouthRecipe):
    """A recipe with the data of ``mouth`` whose weights begin with those in ``start``."""

    start: Path

    def prepare(self, work: Path) -> None:
        super().prepare(work)
        self.start = starting_weights(work, self.smoke)


def starting_weights(work: Path, smoke: bool) -> Path:
    """The mouth to start from: beside this run's own files, else the one that ships.

    A smoke run trains its own tiny one first.
    """
    if smoke:
        folder = work.parent / "mouth-smoke"
        if not (folder / MOUTH_FILE).exists():
            train(*build(smoke), folder, out=folder)
        return folder / MOUTH_FILE
    shipped = checkpoint.WEIGHTS_DIR / MOUTH_FILE
    made = [work / MOUTH_FILE, work / "weights" / MOUTH_FILE, work.parent / "mouth" / MOUTH_FILE]
    return next((file for file in made if file.exists()), shipped)


def take_over(model: nn.Module, start: Path, config: MouthConfig) -> None:
    """Copy every weight of the mouth in ``start`` that ``model`` has in the same shape."""
    own = model.state_dict()
    mouth, _ = load_mouth(start, config)
    same = {k: v for k, v in mouth.state_dict().items() if own[k].shape == v.shape}
    with torch.no_grad():
        model.load_state_dict(own | same)
