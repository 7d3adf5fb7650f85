"""Variants of the `paged_attention` kernels that must compile well."""

from duplex_kernels.configuration import Configuration
from duplex_kernels.paged.attention_tiles import (
    GENERATIONS,
    tile_rows,
    tile_shape,
)
from duplex_kernels.paged.attention_triton import (
    PADDED_SINKS,
    SPLITS_AT_ONCE,
    combine_kernel,
    split_kernel,
)


def configurations() -> list[Configuration]:
    """Those of every generation in the table of tiles."""
    return [configuration for first in GENERATIONS for configuration in _of_generation(first)]


def _of_generation(first: int) -> list[Configuration]:
    """Groups 1, 3, 7 and 8, 1 to 16 tokens, with and without a window, each kind of cache."""
    return [
        _split(first, "bf16", 9, 3, 64, filled=16),
        _split(first, "bf16", 9, 3, 64, filled=16, window=1024, sinks=4),
        _split(first, "bf16", 9, 3, 64, filled=48, window=1024, sinks=4),
        _split(first, "bf16", 14, 2, 64, filled=16),
        _split(first, "bf16", 14, 2, 64, filled=28, window=1024),
        _split(first, "bf16", 14, 2, 64, filled=112),
        _split(first, "fp16", 8, 8, 64, filled=16),
        _split(first, "bf16", 16, 2, 128, filled=16),
        _split(first, "bf16", 16, 2, 128, filled=32, window=1024, sinks=4),
        _split(first, "fp16", 24, 8, 128, filled=48),
        _split(first, "bf16", 9, 3, 64, filled=15, int8=True),
        _split(first, "bf16", 14, 2, 64, filled=112, window=1024, sinks=4, int8=True),
        _split(first, "fp16", 16, 2, 128, filled=16, window=1024, sinks=4, int8=True),
        _combine(first, "bf16", 9, 64),
        _combine(first, "fp16", 16, 128),
    ]


def _capabilities(first: int) -> range:
    """All that share the table's entry of the first."""
    later = [other for other in GENERATIONS if other > first]
    return range(first, min(later, default=1000))


def _split(
    first: int,
    dtype: str,
    q_heads: int,
    kv_heads: int,
    head_dim: int,
    filled: int,
    window: int = 0,
    sinks: int = 0,
    int8: bool = False,
) -> Configuration:
    types = dict.fromkeys(("page_table", "lengths", "starts"), "*i32")
    types |= dict.fromkeys(("partial", "peaks", "sums"), "*fp32")
    types |= {"queries": f"*{dtype}", "pages": "*i8" if int8 else f"*{dtype}"}
    types |= {"scale": "fp32", "table_stride": "i32"}
    types |= {"scales": "*fp16"} if int8 else {}
    types |= {"sinks": f"*{dtype}", "cos": "*fp32", "sin": "*fp32"} if sinks else {}
    absent = {name: None for name in ("scales", "sinks", "cos", "sin") if name not in types}
    rows = tile_rows(GENERATIONS[first], filled, head_dim, sinks > 0)
    block, warps, stages = tile_shape(GENERATIONS[first], rows, head_dim, int8)
    kind = f"{'int8' if int8 else dtype} cache" + (f", window {window}" if window else "")
    return Configuration(
        name=f"paged_attention {dtype} {q_heads}:{kv_heads} dim {head_dim} rows {rows}, {kind}"
        + (f" + {sinks} sinks" if sinks else ""),
        kernel=split_kernel,
        types=types,
        constants=absent
        | {
            "Q_HEADS": q_heads,
            "KV_HEADS": kv_heads,
            "HEAD_DIM": head_dim,
            "PAGE": 16,
            "SPLIT": 256,
            "SPLITS": 16,
            "ROWS": rows,
            "BLOCK": block,
            "WINDOW": window,
            "SINKS": sinks,
            "SINK_BLOCK": PADDED_SINKS,
            "INT8": int8,
        },
        aligned=tuple(name for name in types if name not in ("scale", "table_stride")),
        warps=warps,
        stages=stages,
        # Registers for four programs on a multiprocessor in the plain decode step, else for two.
        max_registers=128 if rows == 16 and head_dim == 64 and not int8 else 200,
        needs_mma=True,
        capabilities=_capabilities(first),
    )


def _combine(first: int, dtype: str, q_heads: int, head_dim: int) -> Configuration:
    types = dict.fromkeys(("lengths", "starts", "slots"), "*i32")
    types |= dict.fromkeys(("partial", "peaks", "sums"), "*fp32")
    types |= {"attended": f"*{dtype}"}
    return Configuration(
        name=f"paged_attention combine {dtype} dim {head_dim}",
        kernel=combine_kernel,
        types=types,
        constants={
            "Q_HEADS": q_heads,
            "HEAD_DIM": head_dim,
            "SPLIT": 256,
            "SPLITS": 16,
            "WINDOW": 0,
            "SINKS": 0,
            "AT_ONCE": SPLITS_AT_ONCE,
        },
        aligned=tuple(types),
        warps=GENERATIONS[first].combine_warps,
        max_registers=96,
        capabilities=_capabilities(first),
    )
