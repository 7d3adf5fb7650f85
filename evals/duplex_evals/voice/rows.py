"""One measured utterance as a row of JSON, and the file that lets a broken-off run go on."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.audio.speech_energy import trim
from duplex_evals.errors import ClipError, ResultError
from duplex_evals.speech.quality import speech_quality
from duplex_evals.speech.recogniser import transcribe, word_errors
from duplex_evals.speech.speaker import speaker_embedding
from duplex_evals.voice.speaking import Audio, Speech, for_listeners
from duplex_evals.voice.words import heard_faults, reference

_WEIGHTS = ("mouth", "codec", "phones")


@dataclass(frozen=True)
class Row:
    """What was heard of one text, how it was rated, and what it cost (zero for the teacher).

    ``overall`` and ``p808`` are None for speech below half a second, ``voice`` (the speaker
    embedding) below 1.6 s. Times: CPU seconds, wall seconds, ms to the first audio.
    """

    text: str
    heard: str
    errors: int
    words: int
    skipped: list[str]
    repeated: list[str]
    overall: float | None
    p808: float | None
    voice: list[float] | None
    seconds: float
    cpu_s: float = 0.0
    wall_s: float = 0.0
    first_tick: int = 0
    first_ms: float = 0.0
    ticks_streamed: int | None = None


def measured(text: str, pcm: Audio, speech: Speech | None, streamed: int | None) -> Row:
    """The row of ``pcm`` at 24 kHz, in which ``text`` should be heard; ``speech`` and ``streamed``
    tell what it cost the agent. Raises EvalError for NaN.
    """
    heard_pcm = for_listeners(pcm)
    try:
        audio = trim(heard_pcm)
    except ClipError:
        audio = heard_pcm[:0]
    heard = transcribe(heard_pcm) if len(audio) else ""
    wanted = reference(text, heard)
    errors, faults = word_errors(wanted, heard), heard_faults(wanted, heard)
    rated, voice = speech_quality(audio), speaker_embedding(audio)
    return Row(
        text=text,
        heard=heard,
        errors=errors.errors,
        words=errors.words,
        skipped=faults.skipped,
        repeated=faults.repeated,
        overall=rated.overall if rated else None,
        p808=rated.p808 if rated else None,
        voice=None if voice is None else [round(float(x), 5) for x in voice],
        seconds=speech.seconds if speech else len(audio) / USER_RATE_HZ,
        cpu_s=sum(speech.cpu_ms) / 1000 if speech else 0.0,
        wall_s=sum(speech.wall_ms) / 1000 if speech else 0.0,
        first_tick=speech.first_tick if speech else 0,
        first_ms=speech.first_audio_ms if speech else 0.0,
        ticks_streamed=streamed,
    )


class RowFile:
    """Rows by key, written as they are made; a later run with the same keys finds them."""

    def __init__(self, path: Path) -> None:
        """Raises ResultError when the file cannot be read."""
        self._path = path
        self._rows: dict[str, Row] = {}
        if path.exists():
            try:
                whole, _, torn = path.read_text("utf-8").rpartition("\n")
                if torn:  # the run was killed while it wrote
                    path.write_text(f"{whole}\n" if whole else "", "utf-8")
                for line in whole.splitlines():
                    stored = json.loads(line)
                    key = stored.pop("key")
                    self._rows[key] = Row(**stored)
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise ResultError(f"{path} cannot be gone on with ({error}); delete it") from error

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    def add(self, key: str, row: Row) -> None:
        """Raises ResultError when the disk is full."""
        self._rows[key] = row
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **asdict(row)}) + "\n")
        except OSError as error:
            raise ResultError(f"cannot write {self._path}: {error.strerror or error}") from error


def weights_name(folder: Path) -> str:
    """Short hash of the voice's weight files: rows of other weights are no rows of these."""
    digest = hashlib.sha256()
    for name in _WEIGHTS:
        digest.update((folder / f"{name}.safetensors").read_bytes())
    return digest.hexdigest()[:12]


def teacher_centre(rows: list[Row]) -> Audio | None:
    """Mean speaker embedding of the teacher's rows, of unit length."""
    voices = [np.asarray(r.voice, np.float32) for r in rows if r.voice is not None]
    if not voices:
        return None
    centre = np.mean(voices, axis=0)
    return np.asarray(centre / np.linalg.norm(centre), np.float32)
