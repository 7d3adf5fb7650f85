"""How long the path itself takes, by a peer that gives back what it hears. Pure measuring."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ
from duplex_evals.errors import TargetError

Audio = NDArray[np.float32]
CHIRPS: Final = 8
CHIRP_S: Final = 0.12
LEAD_S: Final = 1.5  # the caller learns the stream's delay in its first second
EVERY_S: Final = 0.53  # no multiple of a tick or a packet: every phase of both is met
LONGEST_MS: Final = 450.0
CLEAR: Final = 0.5  # normalised correlation below this is no echo


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mouth to ear over a peer without delay. ``spread_ms``: longest less shortest of ``n``.

    ``n`` is how many of the probe's eight chirps came back whole.
    """

    delay_ms: float
    spread_ms: float
    n: int


NO_CALIBRATION: Final = Calibration(0.0, 0.0, 0)


def probe() -> Audio:
    """Chirps [n] at 16 kHz, whose place shows to a fraction of a millisecond."""
    pcm = np.zeros(round((LEAD_S + CHIRPS * EVERY_S + 0.5) * USER_RATE_HZ), np.float32)
    chirp = _chirp()
    for at in _starts(USER_RATE_HZ):
        pcm[at : at + len(chirp)] = chirp
    return pcm


def measure(agent: Audio) -> Calibration:
    """Delay of every chirp of ``probe`` in the agent's channel [m] at 24 kHz.

    Raises TargetError when fewer than half of them come back whole.
    """
    pattern = np.asarray(soxr.resample(_chirp(), USER_RATE_HZ, AGENT_RATE_HZ), np.float64)
    reach = round(LONGEST_MS * AGENT_RATE_HZ / 1000)
    delays = []
    for start in _starts(AGENT_RATE_HZ):
        window = agent[start : start + reach + len(pattern)].astype(np.float64)
        if len(window) < len(pattern):
            break
        match = np.correlate(window, pattern)
        energy = np.convolve(window**2, np.ones(len(pattern)), "valid")
        at = int(np.argmax(match))
        if match[at] > CLEAR * np.sqrt(energy[at] * (pattern**2).sum()) + 1e-9:
            delays.append(at * 1000 / AGENT_RATE_HZ)
    if len(delays) < CHIRPS / 2:
        raise TargetError("calibration: the echo does not come back whole; is this machine busy?")
    return Calibration(float(np.median(delays)), max(delays) - min(delays), len(delays))


def _starts(rate_hz: int) -> list[int]:
    return [round((LEAD_S + i * EVERY_S) * rate_hz) for i in range(CHIRPS)]


def _chirp() -> Audio:
    t = np.arange(round(CHIRP_S * USER_RATE_HZ)) / USER_RATE_HZ
    sweep = np.sin(2 * np.pi * (300 * t + (3000 - 300) / (2 * CHIRP_S) * t**2))
    return np.asarray(0.4 * sweep * np.hanning(len(t)), np.float32)
