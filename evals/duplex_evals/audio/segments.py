"""Where a channel holds speech: energy says from when to when, Silero says that it is speech.

For the agent's channel. Where the user speaks is never detected: it is known from placing.

Silero alone is late by its 32 ms windows and is undecided for 50-200 ms after the end; energy alone
takes a click or a hum for an answer. So energy places the edges, and only near what Silero heard.
"""

import hashlib
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.duplex.vad import WINDOW, SileroVad

Audio = NDArray[np.float32]
Span = tuple[float, float]

VERSION: Final = 1  # of everything in this file: a report states it
FRAME_MS: Final = 10
SPEECH: Final = 0.5  # Silero's own threshold, and the one below which speech has ended
SPEECH_END: Final = 0.35
RANGE_DB: Final = 35.0  # below the loudest frame of speech; user clips are trimmed by the same
FLOOR_DBFS: Final = -60.0  # nobody hears less than this, however quiet the agent is
NOISE_DB: Final = 10.0  # above the noise between the speech, on a channel that has some
NOISE_FRAMES: Final = 50  # half a second of it, to be called the noise of the channel
REACH_MS: Final = 320  # how far from Silero's speech energy may place an edge: it can be 270 late
PAUSE_MS: Final = 200  # dGSLM: longer silence parts two inter-pausal units
SHORTEST_MS: Final = 80  # Silero answers to some clicks, never to 80 ms of one
UTTERANCE_GAP_MS: Final = 500  # Full-Duplex-Bench v1.5: longer silence parts two utterances

SETTLED_WINDOWS: Final = 32  # after a second without sound Silero's memory no longer moves

SETTINGS: Final = {
    "detector": "silero-vad 16 kHz + energy",
    "version": VERSION,
    "speech": SPEECH,
    "speech_end": SPEECH_END,
    "range_db": RANGE_DB,
    "floor_dbfs": FLOOR_DBFS,
    "reach_ms": REACH_MS,
    "pause_ms": PAUSE_MS,
    "shortest_ms": SHORTEST_MS,
    "utterance_gap_ms": UTTERANCE_GAP_MS,
}

# Every table of a report listens to the same recordings; a recording leaves a few numbers here.
_FOUND: dict[bytes, list[Span]] = {}


def speech_segments(pcm: Audio, rate_hz: int) -> list[Span]:
    """The inter-pausal units of ``pcm`` float32 [n] as (start, end) in ms, in order.

    Edges are to the sample where the sound begins hard, and at the first or last sample within
    35 dB of the loudest speech where it fades. Silence of up to 200 ms is part of a unit.
    Raises AssetError when Silero cannot be had.
    """
    key = hashlib.blake2b(pcm.tobytes(), key=str(rate_hz).encode()).digest()
    if key not in _FOUND:
        _FOUND[key] = _find(pcm, rate_hz)
    return list(_FOUND[key])


def merge(spans: list[Span], gap_ms: float) -> list[Span]:
    """``spans`` in order of time, those at most ``gap_ms`` apart or overlapping made one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] <= gap_ms:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def overlap_ms(one: list[Span], other: list[Span]) -> float:
    """How long both lists hold speech at once; each list in order and without overlaps."""
    total, i, j = 0.0, 0, 0
    while i < len(one) and j < len(other):
        total += max(0.0, min(one[i][1], other[j][1]) - max(one[i][0], other[j][0]))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return total


def gaps(spans: list[Span]) -> list[Span]:
    """The silences between neighbours of ``spans``, in order."""
    return [(one[1], two[0]) for one, two in pairwise(spans)]


def _find(pcm: Audio, rate_hz: int) -> list[Span]:
    power = _power(pcm, rate_hz)
    heard = _silero_speech(pcm, rate_hz, len(power))
    if not heard.any() or power[heard].max() == 0.0:
        return []
    near = _near(heard, REACH_MS // FRAME_MS)
    threshold = max(power[heard].max() * 10 ** (-RANGE_DB / 10), 10 ** (FLOOR_DBFS / 10))
    between = power[~near]
    if len(between) >= NOISE_FRAMES:
        threshold = max(threshold, float(np.median(between)) * 10 ** (NOISE_DB / 10))
    loud = _runs((power > threshold) & near)
    spans = merge([_edges(pcm, rate_hz, a, b, threshold**0.5) for a, b in loud], PAUSE_MS)
    # Only now: the "s" of "stop" is no speech to Silero, but it belongs to what follows.
    return [s for s in spans if s[1] - s[0] >= SHORTEST_MS and _holds(heard, s)]


def _power(pcm: Audio, rate_hz: int) -> NDArray[np.float64]:
    size = rate_hz * FRAME_MS // 1000
    frames = np.pad(pcm, (0, -len(pcm) % size)).reshape(-1, size)
    return np.asarray((frames.astype(np.float64) ** 2).mean(axis=1))


def _silero_speech(pcm: Audio, rate_hz: int, frames: int) -> NDArray[np.bool_]:
    """Which 10 ms frames lie in a window that Silero takes for speech, with its hysteresis."""
    audio = pcm if rate_hz == USER_RATE_HZ else soxr.resample(pcm, rate_hz, USER_RATE_HZ)
    windows = np.pad(audio, (0, -len(audio) % WINDOW)).astype(np.float32).reshape(-1, WINDOW)
    vad = _settled_vad().clone()
    audible = (windows.astype(np.float64) ** 2).mean(axis=1) > 10 ** (FLOOR_DBFS / 10)
    speaking, quiet, states = False, 0, []
    for window, sounds in zip(windows, audible, strict=True):
        quiet = 0 if sounds else quiet + 1
        # Most of a channel is silent, and the network costs more than everything else together.
        speaking = quiet < SETTLED_WINDOWS and vad.step(window) >= (
            SPEECH_END if speaking else SPEECH
        )
        states.append(speaking)
    middle = (np.arange(frames) + 0.5) * FRAME_MS * USER_RATE_HZ / 1000
    index = np.minimum((middle / WINDOW).astype(int), len(states) - 1)
    return np.asarray(states, bool)[index] if states else np.zeros(frames, bool)


@cache
def _settled_vad() -> SileroVad:
    """Silero after a second of silence: from scratch it misses words that are said right away."""
    vad = SileroVad()
    vad.step(np.zeros(SETTLED_WINDOWS * WINDOW, np.float32))
    return vad


def _near(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    near = np.convolve(mask, np.ones(2 * reach + 1))[reach : reach + len(mask)]
    return np.asarray(near > 0.5)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches [first, last) of true frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _holds(heard: NDArray[np.bool_], span: Span) -> bool:
    return bool(heard[int(span[0] / FRAME_MS) : int(span[1] / FRAME_MS) + 1].any())


def _edges(pcm: Audio, rate_hz: int, first: int, last: int, amplitude: float) -> Span:
    """Loud frames [first, last) in ms, cut to their first and last sample above the level.

    The frame before and the one after may hold too little of the sound to be loud themselves.
    """
    size = rate_hz * FRAME_MS // 1000
    begin = max(first - 1, 0) * size
    loud = np.flatnonzero(np.abs(pcm[begin : (last + 1) * size]) > amplitude)
    per_ms = rate_hz / 1000
    return ((begin + int(loud[0])) / per_ms, (begin + int(loud[-1]) + 1) / per_ms)
