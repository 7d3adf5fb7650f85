"""What paged attention is timed against computes the same."""

import pytest
import torch
from duplex_kernels.bench.attention_peers import peers
from duplex_kernels.bench.case import Setting
from duplex_kernels.bench.paged_attention import Shape, problem
from duplex_kernels.paged.attention import paged_attention

CPU = Setting(device=torch.device("cpu"), small=True)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(2, 32, q_heads=4, kv_heads=2, head_dim=32), id="equal"),
        pytest.param(Shape(3, 40, 10, q_heads=3, kv_heads=1, head_dim=32), id="ragged"),
        pytest.param(Shape(2, 48, 20, queries=4, q_heads=4, kv_heads=2, head_dim=32), id="chunk"),
    ],
)
def test_sdpa_on_folded_heads_is_paged_attention(shape: Shape) -> None:
    work = problem(CPU, shape)
    _, tokens, _, group, _ = work.grid
    runs, _ = peers(work, CPU)
    rows_of_heads = runs["SDPA math"](1)
    attended = rows_of_heads.unflatten(2, (tokens, group)).transpose(1, 2).flatten(2, 3)
    wanted = paged_attention(work.queries[1], work.caches[1], work.rows, backend="reference")
    torch.testing.assert_close(attended.flatten(0, 1), wanted, rtol=0, atol=1e-5)
