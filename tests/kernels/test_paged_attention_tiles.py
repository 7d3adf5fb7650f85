"""The table of tiles: each target of the compile check has its entry, and every entry is right."""

from collections import Counter

import pytest
import torch
from conversations import Conversations
from duplex_kernels.compile import SHARED_LIMIT, declared
from duplex_kernels.errors import DeviceError
from duplex_kernels.paged import attention_triton as paged_attention_triton
from duplex_kernels.paged.attention_tiles import (
    GENERATIONS,
    first_capability,
    tile_rows,
    tile_shape,
)


@pytest.mark.parametrize("capability", SHARED_LIMIT)
def test_each_target_compiles_the_tiles_that_the_launcher_takes_there(capability: int) -> None:
    generation = GENERATIONS[first_capability(capability)]
    found = [c for c in declared(capability) if c.kernel is paged_attention_triton.split_kernel]
    for configuration in found:
        rows, head_dim, int8 = (configuration.constants[n] for n in ("ROWS", "HEAD_DIM", "INT8"))
        shape = configuration.constants["BLOCK"], configuration.warps, configuration.stages
        assert shape == tile_shape(generation, rows, head_dim, int8)
        if configuration.constants["SINKS"]:
            assert rows == tile_rows(generation, rows, head_dim, sinks=True)
    combined = [
        c.warps for c in declared(capability) if c.kernel is paged_attention_triton.combine_kernel
    ]
    assert set(combined) == {generation.combine_warps}


def test_all_targets_compile_the_same_problems() -> None:
    def problems(capability: int) -> Counter[tuple[object, ...]]:
        said = ("Q_HEADS", "HEAD_DIM", "WINDOW", "SINKS", "INT8")
        return Counter(tuple(map(c.constants.get, said)) for c in declared(capability))

    wanted = problems(90)
    assert wanted[9, 64, 0, 0, False] == 1
    for capability in SHARED_LIMIT:
        assert problems(capability) == wanted


def test_a_newer_gpu_takes_the_nearest_older_entry_and_one_too_old_is_refused() -> None:
    assert [first_capability(c) for c in (80, 86, 89, 90, 103, 120, 121)] == [
        *(80, 80, 80, 90, 100, 120, 120)
    ]
    with pytest.raises(DeviceError, match="sm_75"):
        first_capability(75)


@pytest.mark.parametrize("first", GENERATIONS)
@pytest.mark.parametrize("head_dim", [64, 128])
def test_the_tiles_of_every_generation_give_the_same_attention(
    first: int, head_dim: int, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paged_attention_triton, "generation_of", lambda _: GENERATIONS[first])
    # 40 rows: three programs where 64 wide rows with sinks do not fit in one.
    talk = Conversations(
        2,
        q_heads=8,
        kv_heads=1,
        head_dim=head_dim,
        window=24,
        sinks=4,
        max_query=5,
        split_tokens=64,
        device=device,
    )
    talk.grow_to([45, 3])
    attended = talk.step([5, 1])
    assert float((attended.float().cpu() - talk.expected([5, 1])).abs().max()) < 1e-5
