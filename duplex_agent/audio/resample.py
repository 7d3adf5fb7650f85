"""Streaming sample-rate conversion: soxr behind two verbs, push and finish."""

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.errors import AudioError

MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 768_000


def check_rate(rate_hz: int) -> None:
    """Raise AudioError unless the rate is one that sound can have."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(f"sample rate {rate_hz} Hz is outside {MIN_RATE_HZ}..{MAX_RATE_HZ} Hz")


class StreamResampler:
    """Converts float32 blocks, [n] or with ``channels`` [n, channels], from one rate to another.

    The filter holds back a few milliseconds; ``finish`` gives them and closes the stream. The
    output of all calls together does not depend on how the input was cut into blocks.
    """

    def __init__(self, source_hz: int, target_hz: int, channels: int | None = None) -> None:
        check_rate(source_hz)
        check_rate(target_hz)
        self.channels = channels
        self._stream = (
            None
            if source_hz == target_hz
            else soxr.ResampleStream(source_hz, target_hz, channels or 1, dtype="float32")
        )

    def push(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Give a block, get what is ready (may be empty, same number of axes)."""
        if self._stream is None:
            return block
        return np.asarray(self._stream.resample_chunk(block, last=last), dtype=np.float32)

    def finish(self) -> NDArray[np.float32]:
        """The samples still inside the filter."""
        shape = (0,) if self.channels is None else (0, self.channels)
        return self.push(np.zeros(shape, dtype=np.float32), last=True)
