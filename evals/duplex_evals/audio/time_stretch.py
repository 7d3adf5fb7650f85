"""Speech made faster or slower without a change of pitch (WSOLA)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ

Audio = NDArray[np.float32]

HOP: Final = USER_RATE_HZ // 80  # 12.5 ms: half a window, a period or two of a voice
SEARCH: Final = USER_RATE_HZ // 125  # 8 ms: covers a period of 125 Hz


def stretch(pcm: Audio, speed: float) -> Audio:
    """``pcm`` [n] at 16 kHz at ``speed`` times its pace: about n / speed samples.

    Waveform similarity overlap-add (Verhelst and Roelands, 1993): each window is taken from where
    the sound best continues the window before it.
    """
    if speed == 1.0:
        return pcm
    window = np.hanning(2 * HOP + 1)[:-1].astype(np.float32)
    count = max(int(len(pcm) / speed / HOP), 1)
    padded = np.pad(pcm, (SEARCH, 4 * HOP + 2 * SEARCH + int(HOP * speed)))
    out = np.zeros((count + 1) * HOP, np.float32)
    at = SEARCH
    for step in range(count):
        out[step * HOP : (step + 2) * HOP] += window * padded[at : at + 2 * HOP]
        natural = padded[at + HOP : at + 3 * HOP]
        target = SEARCH + round((step + 1) * HOP * speed)
        region = padded[target - SEARCH : target + SEARCH + 2 * HOP]
        if len(natural) < 2 * HOP or len(region) < 2 * HOP + 2 * SEARCH:
            break
        score = np.correlate(region, natural, "valid")
        at = target - SEARCH + int(np.argmax(score))
    return out[: round(len(pcm) / speed)]
