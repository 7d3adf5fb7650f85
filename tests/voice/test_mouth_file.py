from pathlib import Path

import pytest
import torch

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import torch_checkpoint
from duplex_agent.voice.config import FlowConfig, MouthConfig, Sampling
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.mouth_file import load_mouth, save_mouth
from duplex_agent.voice.reference.mouth_fsq import CodeMouth

_TINY = MouthConfig(
    width=32, layers=1, heads=2, feed_forward=48, phone_width=8, thinker_width=16,
    flow=FlowConfig(width=24, blocks=1),
)  # fmt: skip


@pytest.mark.parametrize("kind", [Mouth, CodeMouth])
@pytest.mark.parametrize("sampling", list(Sampling))
def test_a_mouth_comes_back_as_the_kind_it_was(
    tmp_path: Path, kind: type[Mouth], sampling: Sampling
) -> None:
    mouth = kind(_TINY)
    mouth.head.sampling = sampling
    mouth.latent_deviation.fill_(2.5)
    save_mouth(tmp_path / "m.safetensors", mouth, "mouth", {"guidance": "1.5"})
    found, notes = load_mouth(tmp_path / "m.safetensors", _TINY)
    assert type(found) is kind
    assert found.head.sampling is sampling
    assert torch.equal(found.latent_deviation, mouth.latent_deviation)
    assert notes["guidance"] == "1.5"


def test_weights_that_cannot_be_spoken_with_are_refused(tmp_path: Path) -> None:
    mouth = Mouth(_TINY)
    save_mouth(tmp_path / "small.safetensors", mouth, "mouth", {})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_mouth(tmp_path / "small.safetensors")
    new = tmp_path / "new.safetensors"
    torch_checkpoint.save(new, mouth.state_dict(), {"sampling": "telepathy"}, int8=True)
    with pytest.raises(CheckpointError, match="telepathy"):
        load_mouth(new, _TINY)
    with torch.no_grad():
        mouth.norm.weight[0] = torch.nan
    with pytest.raises(CheckpointError, match="NaN"):
        save_mouth(tmp_path / "broken.safetensors", mouth, "mouth", {})
