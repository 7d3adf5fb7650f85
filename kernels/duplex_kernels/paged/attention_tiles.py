"""Tile shapes of `paged_attention` for each generation of GPU; launcher and compile check share it.

Nothing here has been measured on hardware: shapes are chosen so that no program spills or breaks
its bound on registers with Triton 3.6.0, 3.7.1 and 3.9.0 (`python -m duplex_kernels.compile`).
"""

from dataclasses import dataclass

from duplex_kernels.errors import DeviceError

Tile = tuple[int, int, int]
"""Positions read at a time, warps and pipeline stages."""


@dataclass(frozen=True)
class Generation:
    """What the shapes depend on besides rows, head dimension and kind of cache."""

    decode: Tile
    """For 16 rows, heads up to 64 wide and a 16-bit cache: the plain decode step."""
    tall_block: int
    """Positions read at a time with more rows than 16, the rest as in `decode`."""
    tall_wide_sinks: bool
    """Whether 64 rows of heads 128 wide leave registers for sinks; 16 at a time if they do not."""
    combine_warps: int


# Figures are registers and bytes spilled, printed by Triton 3.7.1 unless another is named.
#
# sm_80 to 89 and sm_120 have `mma.sync` alone, whose sums stay in registers:
# - 64 rows, 128 wide, with sinks: 255 and 872 (sm_80, blocks of 16), 856 (sm_80, two stages), 808
#   (sm_89; 784 with 3.6.0), with 8 warps; 32 rows: 255 and 0 or 8 with 2, 4 or 8 warps. 16 rows:
#   168 and 0.
# - 64 rows, 64 wide, blocks of 64: 201 (bound 200), 32 rows: 128 and 24 (sm_80); blocks of 32:
#   174 and 122, 0.
# - sm_100, 64 rows, 64 wide, blocks of 64: 182, but 214 with 3.9.0; blocks of 32: 124 with 3.9.0.
# sm_100 and sm_120: the decode step in blocks of 64 spills 8 bytes at 96 registers (sm_100) or 80
# (sm_120), in blocks of 128 it takes 144 (bound 128); in blocks of 32 it takes 77, and with nine
# stages as many bytes are on their way (sm_120 takes 140 for that with sinks, hence fewer there).
# The combination spills 8 bytes at 72 registers in one warp; in two it takes 48.
GENERATIONS = {
    80: Generation(decode=(64, 4, 5), tall_block=32, tall_wide_sinks=False, combine_warps=1),
    90: Generation(decode=(64, 4, 5), tall_block=64, tall_wide_sinks=True, combine_warps=1),
    100: Generation(decode=(32, 4, 9), tall_block=32, tall_wide_sinks=True, combine_warps=2),
    120: Generation(decode=(32, 4, 5), tall_block=32, tall_wide_sinks=False, combine_warps=2),
}
"""By the first compute capability, such as 90 for sm_90."""


def first_capability(capability: int) -> int:
    """The key of `GENERATIONS` for a compute capability. DeviceError for a GPU before sm_80."""
    if capability < min(GENERATIONS):
        raise DeviceError(
            f"the Triton backend needs a GPU from sm_{min(GENERATIONS)} on, not sm_{capability}"
        )
    return max(first for first in GENERATIONS if first <= capability)


def tile_rows(generation: Generation, filled: int, head_dim: int, sinks: bool) -> int:
    """Rows of one program, for `filled` rows (query tokens times group) in the longest chunk."""
    rows = 16
    while rows < min(filled, 64):
        rows *= 2
    if rows == 16 or head_dim <= 64:
        return rows
    # 32 rows of wide heads run out of registers on sm_90 too; 64 have wgmma and 8 warps.
    return 16 if sinks and not generation.tall_wide_sinks else 64


def tile_shape(generation: Generation, rows: int, head_dim: int, int8: bool) -> Tile:
    """The shape for programs of `rows` rows.

    The load of page numbers takes stages of its own: only from five on are there two tiles of keys
    and values in flight, with fewer a tile is waited for before the next one is asked for. Tiles of
    32 where 64 would need nearly all registers.
    """
    tall, wide = rows > 16, head_dim > 64
    if not (tall or wide or int8):
        return generation.decode
    if tall + wide + int8 > 1:
        return 32, 8 if tall and wide else 4, 5
    return generation.tall_block if tall else 64, 4, 5
