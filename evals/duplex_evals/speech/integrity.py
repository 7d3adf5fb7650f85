"""Damage that no opinion score shows: dropouts, clipping, loops, late beginnings, cut ends.

All of it is looked for in the agent's channel as received, 24 kHz, inside stretches of speech.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

SILENT: Final = 1e-4  # -80 dBFS: below the last bit that anybody hears
DROPOUT_MS: Final = 5.0  # shorter runs of zeros come from quantisation
LONGEST_DROPOUT_MS: Final = 400.0  # longer silence is a pause
EDGE_MS: Final = 5.0  # sound beside a dropout, in which it must be loud
EDGE_LEVEL: Final = 10 ** (-40 / 20)
FULL_SCALE: Final = 0.999
CLIPPED_RUN: Final = 3  # samples in a row at full scale
LOOP_BLOCK_MS: Final = 80.0
LOOP_MATCH: Final = 0.999  # correlation; a sung vowel stays below it over two blocks
LOOP_LAGS_MS: Final = (20.0, 80.0)  # packets, ticks: what a buffer repeats
CUT_MS: Final = 10.0
CUT_LEVEL: Final = 10 ** (-30 / 20)


@dataclass(frozen=True)
class Integrity:
    """``dropouts`` and ``loops`` are counts; ``clipped`` a share of samples; times in ms.

    ``leading_ms``: silence before the first audio. ``cut_off``: the last 10 ms are still loud.
    """

    dropouts: int
    clipped: float
    loops: int
    leading_ms: float
    cut_off: bool


def integrity(pcm: Audio, rate_hz: int) -> Integrity | None:
    """What is wrong with one reply float32 [n], from its first packet on; None when silent."""
    loud = np.flatnonzero(np.abs(pcm) > SILENT)
    if not len(loud):
        return None
    speech = pcm[loud[0] : loud[-1] + 1]
    return Integrity(
        dropouts=dropouts(speech, rate_hz),
        clipped=clipped(speech),
        loops=loops(speech, rate_hz),
        leading_ms=float(loud[0] / rate_hz * 1000),
        cut_off=_rms(speech[-round(CUT_MS * rate_hz / 1000) :]) > CUT_LEVEL,
    )


def dropouts(pcm: Audio, rate_hz: int) -> int:
    """Stretches of 5 to 400 ms of digital silence with loud sound right before and after."""
    edge = round(EDGE_MS * rate_hz / 1000)
    count = 0
    for start, end in _runs(np.abs(pcm) <= SILENT):
        length_ms = (end - start) / rate_hz * 1000
        if not DROPOUT_MS <= length_ms <= LONGEST_DROPOUT_MS:
            continue
        beside = (pcm[max(0, start - edge) : start], pcm[end : end + edge])
        count += all(len(part) and _rms(part) > EDGE_LEVEL for part in beside)
    return count


def clipped(pcm: Audio) -> float:
    """Share of samples in runs of three or more at full scale."""
    runs = _runs(np.abs(pcm) >= FULL_SCALE)
    return sum(e - s for s, e in runs if e - s >= CLIPPED_RUN) / max(len(pcm), 1)


def loops(pcm: Audio, rate_hz: int) -> int:
    """Times that 80 ms of sound came again at once: a buffer that repeats packets or ticks.

    Compared sample by sample at the lags of a packet and of a tick, so that a voiced sound, alike
    from period to period but never the same, does not count.
    """
    block = round(LOOP_BLOCK_MS * rate_hz / 1000)
    found: set[int] = set()
    for lag_ms in LOOP_LAGS_MS:
        lag = round(lag_ms * rate_hz / 1000)
        for start in range(0, len(pcm) - block - lag + 1, block // 4):
            one, two = pcm[start : start + block], pcm[start + lag : start + lag + block]
            if min(_rms(one), _rms(two)) > EDGE_LEVEL and _alike(one, two) > LOOP_MATCH:
                found.add(start // (2 * block))
    return len(found)


def _alike(one: Audio, two: Audio) -> float:
    scale = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / scale if scale else 0.0


def _rms(pcm: Audio) -> float:
    return float(np.sqrt((pcm.astype(np.float64) ** 2).mean())) if len(pcm) else 0.0


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
