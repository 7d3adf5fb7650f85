from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import torch_checkpoint


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_a_module_comes_back_from_its_file(tmp_path: Path, kind: torch.dtype) -> None:
    file = tmp_path / "w.safetensors"
    module, other = torch.nn.BatchNorm1d(5).to(kind), torch.nn.BatchNorm1d(5)
    with torch.no_grad():
        module.weight.copy_(torch.arange(5) / 4)
    torch_checkpoint.save(file, module.state_dict(), {"recipe": "x"}, int8=False)
    tensors, metadata = torch_checkpoint.load(file)
    torch_checkpoint.load_module(other, tensors)
    assert metadata["recipe"] == "x"
    assert tensors["num_batches_tracked"].dtype == torch.long
    assert other.weight.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert np.array_equal(torch_checkpoint.parameters(module)["weight"], other.weight.detach())


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(CheckpointError, match="do not fit Linear"):
        torch_checkpoint.load_module(torch.nn.Linear(3, 2), {"weight": torch.zeros(2, 2)})
