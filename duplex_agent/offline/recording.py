"""A recording as ticks, and both sides of a conversation as one stereo file."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from duplex_agent.audio.buffers import Blocks
from duplex_agent.audio.files import AudioReader, WavWriter
from duplex_agent.audio.resample import StreamResampler
from duplex_agent.clock import (
    AGENT_RATE_HZ,
    AGENT_TICK_SAMPLES,
    TICK_MS,
    USER_RATE_HZ,
    USER_TICK_SAMPLES,
)

Audio = NDArray[np.float32]


def ticks_of(reader: AudioReader, until_s: float) -> Iterator[Audio]:
    """The recording in ticks [1280], then silence up to ``until_s`` (rounded up to a tick)."""
    blocks = Blocks(USER_TICK_SAMPLES)
    left = math.ceil(round(until_s * 1000, 3) / TICK_MS)
    for block in reader.blocks():
        for tick in blocks.push(block):
            yield tick
            left -= 1
    rest = blocks.flush()
    if rest is not None:
        yield rest
        left -= 1
    for _ in range(left):
        yield np.zeros(USER_TICK_SAMPLES, dtype=np.float32)


class StereoRecorder:
    """Writes a 24 kHz WAV: left the user, right the agent as a live listener would hear it.

    What a tick answers can sound only after the tick has been heard, so the right side begins
    one tick late. The file ends after exactly ``length_s``; leaving by an error removes it.
    Raises AudioError when it cannot be written.
    """

    def __init__(self, path: Path, length_s: float) -> None:
        self._writer = WavWriter(path, AGENT_RATE_HZ, 2)
        self._left_samples = round(length_s * AGENT_RATE_HZ)
        self._resampler = StreamResampler(USER_RATE_HZ, AGENT_RATE_HZ)
        self._user: Audio = np.zeros(0, dtype=np.float32)
        self._agent: Audio = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)

    def add(self, user: Audio, agent: Audio) -> None:
        """One tick of both sides: [1280] at 16 kHz and [1920] at 24 kHz."""
        self._user = np.concatenate([self._user, self._resampler.push(user)])
        self._agent = np.concatenate([self._agent, agent])
        self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._writer.discard()
            return
        self._user = np.concatenate([self._user, self._resampler.finish()])
        self._write()
        self._writer.close()

    def _write(self) -> None:
        count = min(len(self._user), len(self._agent), self._left_samples)
        self._writer.write(np.stack([self._user[:count], self._agent[:count]], axis=1))
        self._user, self._agent = self._user[count:], self._agent[count:]
        self._left_samples -= count
