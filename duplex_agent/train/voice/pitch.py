"""Pitch of the teacher's speech: frequency, voicing and where the glottal pulses lie.

Praat, through parselmouth, finds the frequency by autocorrelation (Boersma 1993) and then the
pulses by cross-correlation from one period to the next. Pulses, not the fundamental's own phase,
tell where every harmonic stands: demodulating the fundamental left the 20th harmonic of
neighbouring frames with a coherence of 0.03, pulses leave 0.75. With them the codec's voiced part
can be compared with the recording as a wave, which a spectrogram cannot do. Training only.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.train.data.agent_speech import read_corpus
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.voice.config import HOP_SAMPLES

PITCH_FILE: Final = "pitch.npz"
FLOOR_HZ, CEILING_HZ = 60.0, 350.0
_SLOPE_S: Final = 0.006  # half the stretch over which pulses are counted for the frequency


@dataclass(frozen=True)
class Pitch:
    """One value per frame of 10 ms, at its middle: Hz, voicing, phase within the period (rad).

    Where nothing is voiced, frequency and phase are interpolated.
    """

    hz: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    phase: NDArray[np.float32]

    def __getitem__(self, frames: slice) -> "Pitch":
        return Pitch(self.hz[frames], self.voiced[frames], self.phase[frames])


def track_pitch(pcm: NDArray[np.int16]) -> Pitch:
    """Pitch of ``pcm`` int16 [n] at 24 kHz, n // 240 frames."""
    import parselmouth

    audio = pcm.astype(np.float64) / 32768
    frames = len(pcm) // HOP_SAMPLES
    middles = (np.arange(frames) + 0.5) * HOP_SAMPLES / AGENT_RATE_HZ
    # A dearer octave jump than Praat's 0.35: this voice creaks, and the creak is no octave lower.
    wave = parselmouth.Sound(audio, AGENT_RATE_HZ)
    found = wave.to_pitch_ac(
        time_step=0.01, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ, octave_jump_cost=0.6
    )
    times, hz = found.xs(), found.selected_array["frequency"]
    nearest = np.clip(np.round((middles - times[0]) / 0.01).astype(int), 0, len(times) - 1)
    voiced = hz[nearest] > 0
    points = parselmouth.praat.call([wave, found], "To PointProcess (cc)")
    count = int(parselmouth.praat.call(points, "Get number of points"))
    if not voiced.any() or count < 2:
        return Pitch(np.full(frames, 90, np.float32), voiced & False, np.zeros(frames, np.float32))
    smooth = np.exp(np.interp(middles, times[hz > 0], np.log(hz[hz > 0])))
    pulses_s = np.array(
        [parselmouth.praat.call(points, "Get time from index", i + 1) for i in range(count)]
    )
    number = np.arange(count)
    before = np.interp(middles - _SLOPE_S, pulses_s, number)
    counted = (np.interp(middles + _SLOPE_S, pulses_s, number) - before) / (2 * _SLOPE_S)
    # At the ends of a voiced stretch the count runs into the gap.
    trusted = voiced & (np.abs(np.log(np.maximum(counted, 1) / smooth)) < 0.25)
    phase = 2 * np.pi * (np.interp(middles, pulses_s, number) % 1.0)
    pulses_hz = np.where(trusted, counted, smooth)
    return Pitch(pulses_hz.astype(np.float32), voiced, phase.astype(np.float32))


def read_pitch(speech: Path) -> list[Pitch]:
    """Pitch of every utterance of the corpus in ``speech``, in its order; kept in a file there."""
    target = speech / PITCH_FILE
    if not target.exists():
        tracks = [track_pitch(u.pcm) for u in track(read_corpus(speech), "pitch", transient=True)]
        store_arrays(
            target,
            frames=np.array([len(t.hz) for t in tracks]),
            hz=np.concatenate([t.hz for t in tracks]),
            voiced=np.concatenate([t.voiced for t in tracks]),
            phase=np.concatenate([t.phase for t in tracks]),
        )
    with np.load(target) as stored:
        ends = np.cumsum(stored["frames"])[:-1]
        columns = [np.split(stored[name], ends) for name in ("hz", "voiced", "phase")]
    return [Pitch(*values) for values in zip(*columns, strict=True)]
