"""Sound files in and out: WAV, FLAC and OGG of any rate and channel count, in bounded memory.

Everything that is wrong with a file becomes one AudioError line that names the file.
"""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from duplex_agent.audio.resample import StreamResampler, check_rate
from duplex_agent.errors import AudioError, reason
from duplex_agent.output_file import OutputFile

# A stream is read in blocks, so its limit only keeps a mistaken path from running for days.
MAX_STREAM_S = 6 * 3600
# A whole file in memory: one hour of 16 kHz float32 is 230 MB.
MAX_WHOLE_S = 3600
# A float file may peak above 1 by a little; beyond this its samples are on another scale.
MAX_PEAK = 16.0
BLOCK_S = 1.0
MAX_WAV_BYTES = 2**32 - 64


class AudioReader:
    """An open audio file read block by block as float32 at the wished rate.

    ``mono`` mixes the channels (mean) into blocks [n]; otherwise blocks are [n, channels].
    Raises AudioError on opening for: missing, not audio, empty, longer than ``max_s``; while
    reading for: NaN or infinite samples, samples on another scale, damaged data.
    """

    def __init__(
        self, path: Path | str, rate_hz: int, mono: bool = True, max_s: float = MAX_STREAM_S
    ) -> None:
        self.path = Path(path)
        self.rate_hz = rate_hz
        self.mono = mono
        self.max_s = max_s
        self._file = _open_audio(self.path)
        try:
            check_rate(self._file.samplerate)
            if self._file.frames == 0:
                raise AudioError(f"{self.path} is empty: it holds no samples")
            self._check_length(self._file.frames)
        except AudioError:
            self._file.close()
            raise

    @property
    def duration_s(self) -> float:
        """Length that the header states."""
        return float(self._file.frames / self._file.samplerate)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the sound in blocks of about a second. Call once."""
        source_hz = self._file.samplerate
        channels = None if self.mono else self._file.channels
        resampler = StreamResampler(source_hz, self.rate_hz, channels)
        frames = 0
        while len(raw := self._read(int(source_hz * BLOCK_S))):
            frames += len(raw)
            self._check_length(frames)
            self._check_samples(raw)
            mixed = raw.mean(axis=1) if self.mono else raw
            yield resampler.push(np.ascontiguousarray(mixed, dtype=np.float32))
        if frames == 0:
            raise AudioError(f"{self.path} is empty: it holds no samples")
        yield resampler.finish()

    def scan(self) -> float:
        """Read everything once for its errors, rewind, and give the length in seconds."""
        frames = 0
        while len(raw := self._read(int(self._file.samplerate * BLOCK_S))):
            frames += len(raw)
            self._check_length(frames)
            self._check_samples(raw)
        if frames == 0:
            raise AudioError(f"{self.path} is empty: it holds no samples")
        self._file.seek(0)
        return frames / self._file.samplerate

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, frames: int) -> NDArray[np.float32]:
        try:
            return np.asarray(self._file.read(frames, dtype="float32", always_2d=True))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self.path} is damaged: {error.error_string}") from error

    def _check_length(self, frames: int) -> None:
        if frames > self.max_s * self._file.samplerate:
            raise AudioError(
                f"{self.path} lasts over {self.max_s / 60:.0f} minutes, the limit: cut it first"
            )

    def _check_samples(self, raw: NDArray[np.float32]) -> None:
        if not np.isfinite(raw).all():
            raise AudioError(f"{self.path} holds NaN or infinite samples")
        if np.abs(raw).max() > MAX_PEAK:
            raise AudioError(
                f"{self.path} peaks at {np.abs(raw).max():.0f}; float samples belong in -1..1"
            )


def read_audio(
    path: Path | str, rate_hz: int, mono: bool = True, max_s: float = MAX_WHOLE_S
) -> NDArray[np.float32]:
    """A whole file as float32 at ``rate_hz``: [n], or [n, channels] when not ``mono``.

    Raises AudioError (see AudioReader), also for files over ``max_s`` seconds, which are for
    AudioReader to stream.
    """
    with AudioReader(path, rate_hz, mono, max_s) as reader:
        return np.concatenate(list(reader.blocks()))


class WavWriter:
    """A 16-bit WAV written block by block, so that a long run needs no memory.

    The header is written here and not by libsndfile, which reports a full disk or a missing
    folder as "System error". Raises AudioError when the file cannot be made or written; nothing
    of it is left then, nor after an error inside ``with``.
    """

    def __init__(self, path: Path | str, rate_hz: int, channels: int) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self._data_bytes = 0
        self._file = OutputFile(path)
        self._file.write(self._header())
        self._file.flush()  # a full disk shows now, not after the work

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self._file.path

    def write(self, block: NDArray[np.float32]) -> None:
        """Append samples [n] or [n, channels] in -1..1; louder ones are clipped."""
        data = np.rint(np.clip(block, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        if self._data_bytes + len(data) > MAX_WAV_BYTES:
            raise AudioError(f"cannot write {self.path}: a WAV file ends at 4 GiB")
        self._file.write(data)
        self._data_bytes += len(data)

    def close(self) -> None:
        """Write what is buffered and the final header."""
        if not self._file.closed:
            self._file.write_start(self._header())
            self._file.close()

    def discard(self) -> None:
        """Remove the file."""
        self._file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _header(self) -> bytes:
        frame_bytes = 2 * self.channels
        form = (1, self.channels, self.rate_hz, self.rate_hz * frame_bytes, frame_bytes, 16)
        return (
            struct.pack("<4sI4s", b"RIFF", 36 + self._data_bytes, b"WAVE")
            + struct.pack("<4sIHHIIHH", b"fmt ", 16, *form)
            + struct.pack("<4sI", b"data", self._data_bytes)
        )


def write_wav(path: Path | str, samples: NDArray[np.float32], rate_hz: int) -> None:
    """Write samples [n] or [n, channels] as 16-bit WAV. Raises AudioError."""
    with WavWriter(path, rate_hz, 1 if samples.ndim == 1 else samples.shape[1]) as writer:
        writer.write(samples)


def _open_audio(path: Path) -> soundfile.SoundFile:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(f"{path} is a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            # A file is read twice: once for its errors, before anything is done with it.
            raise AudioError(f"{path} is a pipe or a device, not a file: save the audio to a file")
        if status.st_size == 0:
            raise AudioError(f"{path} is empty: 0 bytes")
        # As bytes, for soundfile cannot encode a name that is not UTF-8.
        return soundfile.SoundFile(os.fsencode(path))
    except OSError as error:
        raise AudioError(f"cannot read {path}: {reason(error)}") from error
    except (soundfile.LibsndfileError, TypeError) as error:
        # soundfile raises TypeError for names that it takes for headerless sound (.raw)
        raise AudioError(
            f"{path} is not an audio file that can be read (WAV, FLAC, OGG)"
        ) from error
