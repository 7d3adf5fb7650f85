"""Where the speech of a clean clip lies, by its energy: how a clip is trimmed before it is placed.

Only for clips without noise, whose place the suite decides. The agent's sound is judged elsewhere.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.errors import ClipError

Audio = NDArray[np.float32]

FRAME: Final = USER_RATE_HZ // 200  # 5 ms
RANGE_DB: Final = 35.0  # below the loudest frame; a decaying vowel ends here to the ear
MIN_FRAMES: Final = 3  # shorter bursts at an edge are clicks of the mouth or of a cut
PAUSE_MS: Final = 200  # silence that parts two stretches of speech (dGSLM's rule)
FADE: Final = USER_RATE_HZ // 500  # 2 ms against the click of a hard edge


def _runs(pcm: Audio) -> list[tuple[int, int]]:
    """Stretches of loud samples [start, end), short bursts left out."""
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = (frames**2).mean(axis=1)
    if not len(power) or power.max() <= 0:
        return []
    loud = np.concatenate([[False], power > power.max() * 10 ** (-RANGE_DB / 10), [False]])
    edges = np.flatnonzero(np.diff(loud.astype(np.int8)))
    pairs = edges.reshape(-1, 2) * FRAME
    return [(int(a), int(b)) for a, b in pairs if b - a >= MIN_FRAMES * FRAME]


def trim(pcm: Audio) -> Audio:
    """``pcm`` [n] at 16 kHz from its first to its last loud sample, edges faded over 2 ms.

    Raises ClipError for a clip that is silent.
    """
    runs = _runs(pcm)
    if not runs:
        raise ClipError("a clip holds no sound")
    audio = pcm[runs[0][0] : runs[-1][1]].copy()
    ramp = np.sin(np.linspace(0, np.pi / 2, FADE, dtype=np.float32)) ** 2
    audio[:FADE] *= ramp
    audio[-FADE:] *= ramp[::-1]
    return audio


def speech_spans(trimmed: Audio) -> list[tuple[int, int]]:
    """Stretches of speech in a trimmed clip, in samples: parted by 200 ms of silence or more."""
    spans = joined(_runs(trimmed))
    if not spans:
        return [(0, len(trimmed))]
    # The clip was trimmed to its speech: the fade must not move its edges.
    spans[0] = (0, spans[0][1])
    spans[-1] = (spans[-1][0], len(trimmed))
    return spans


def joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches [start, end) in samples, in order, with gaps shorter than 200 ms closed."""
    spans: list[tuple[int, int]] = []
    for start, end in runs:
        if spans and start - spans[-1][1] < PAUSE_MS * USER_RATE_HZ // 1000:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def active_rms(trimmed: Audio) -> float:
    """Root mean square of the stretches that hold speech, without the pauses between them."""
    power = sum(float((trimmed[a:b].astype(np.float64) ** 2).sum()) for a, b in _runs(trimmed))
    count = sum(b - a for a, b in _runs(trimmed))
    return float(np.sqrt(power / max(count, 1)))
