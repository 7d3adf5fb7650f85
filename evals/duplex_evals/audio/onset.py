"""When did the agent become audible? Judged from its sound alone, never from its events."""

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, TICK_MS, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.duplex.vad import SileroVad

FRAME_MS = 10
LOUD_DBFS = -45.0
SPEECH = 0.5
SPEECH_TICKS = 2  # Silero must agree for 160 ms: a click or a hum is no answer

Audio = NDArray[np.float32]


def loud_frames(pcm: Audio, rate_hz: int, floor_dbfs: float = LOUD_DBFS) -> NDArray[np.bool_]:
    """Which 10 ms frames of ``pcm`` [n] lie above the level."""
    size = rate_hz * FRAME_MS // 1000
    frames = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    power = (frames**2).mean(axis=1)
    return np.asarray(power > 10 ** (floor_dbfs / 10))


def speech_end_ms(pcm: Audio, rate_hz: int) -> int:
    """Where the last loud frame ends, 35 dB below the loudest 10 ms. -1 for silence."""
    size = rate_hz * FRAME_MS // 1000
    frames = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    power = (frames**2).mean(axis=1)
    if power.max() == 0.0:
        return -1
    return int((np.flatnonzero(power > power.max() * 10**-3.5)[-1] + 1) * FRAME_MS)


def speech_onset_ms(agent: Audio, after_ms: int = 0) -> int | None:
    """First audible speech of the agent's 24 kHz sound at or after a time; None without any.

    Silero has to hear speech for 160 ms; the onset is the first loud 10 ms around its start.
    """
    audio = soxr.resample(agent, AGENT_RATE_HZ, USER_RATE_HZ).astype(np.float32)
    audio[: after_ms * USER_RATE_HZ // 1000] = 0.0
    vad = SileroVad()
    full = len(audio) // USER_TICK_SAMPLES * USER_TICK_SAMPLES
    levels = [vad.step(tick) for tick in audio[:full].reshape(-1, USER_TICK_SAMPLES)]
    loud = loud_frames(audio, USER_RATE_HZ)
    run = 0
    for tick, level in enumerate(levels):
        run = run + 1 if level >= SPEECH else 0
        if run == SPEECH_TICKS:
            # Silero may need a tick to notice
            first = max(tick - SPEECH_TICKS, 0) * TICK_MS // FRAME_MS
            frames = np.flatnonzero(loud[first:])
            return None if not len(frames) else int((first + frames[0]) * FRAME_MS)
    return None
