"""From a clip's description to its samples: spoken, read from a pool, or made from a seed.

Every clip ends up alike: 16 kHz, trimmed to its own energy, the same active level. Where it is
placed is therefore where its speech begins and ends, to the sample. Synthesised clips are kept in
the user's cache folder.
"""

import contextlib
import hashlib
import json
import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.errors import DuplexError
from duplex_evals.audio.noises import make_noise
from duplex_evals.audio.speech_energy import active_rms, trim
from duplex_evals.audio.time_stretch import stretch
from duplex_evals.conversation.pools import file_of
from duplex_evals.conversation.scenario import Clip
from duplex_evals.errors import ClipError

Audio = NDArray[np.float32]

SPEECH_DBFS: Final = -26.0  # active level of every clip at gain 0 (ITU-T P.56's usual target)
CACHE_VERSION: Final = 1
NOISE_S: Final = 1.0  # of a made noise without end_s


@lru_cache(maxsize=2048)
def load_clip(clip: Clip, speed: float = 1.0) -> Audio:
    """Samples of ``clip``, float32 [n] at 16 kHz, trimmed, at its level; do not write into them.

    ``speed`` multiplies the clip's own. Raises ClipError naming the clip.
    """
    name = clip.file or f"{clip.voice}: {clip.text!r}"
    pcm = _source(clip)
    first = round(clip.start_s * USER_RATE_HZ)
    last = len(pcm) if clip.end_s is None else round(clip.end_s * USER_RATE_HZ)
    if 0 < len(pcm) <= first:
        raise ClipError(f"{name}: start_s lies behind the end of the clip")
    try:
        audio = trim(stretch(pcm[first:last], clip.speed * speed))
    except ClipError as error:
        raise ClipError(f"{name}: {error}") from error
    gain = 10 ** ((SPEECH_DBFS + clip.gain_db) / 20) / active_rms(audio)
    levelled = np.clip(audio * np.float32(gain), -1, 1)
    levelled.setflags(write=False)
    return levelled


def load_bed(source: str, samples: int, rng: np.random.Generator) -> Audio:
    """``samples`` of background at 16 kHz and the speech level, from a random place, repeated.

    ``source`` as in ``Clip.file``. It is not trimmed: rooms have pauses too.
    """
    pool, _, name = source.partition(":")
    if pool == "noise":
        audio = make_noise(name, samples, rng)
    else:
        recorded = _read(source)
        audio = np.resize(np.roll(recorded, -int(rng.integers(len(recorded)))), samples)
    rms = float(np.sqrt((audio.astype(np.float64) ** 2).mean()))
    if rms == 0:
        raise ClipError(f"{source}: a background that is silent")
    return np.asarray(audio * (10 ** (SPEECH_DBFS / 20) / rms), np.float32)


def _source(clip: Clip) -> Audio:
    if clip.voice:
        return _spoken(clip.voice, clip.text)
    pool, _, name = clip.file.partition(":")
    if pool == "noise":
        length = round((clip.end_s or NOISE_S) * USER_RATE_HZ)
        # A hash of its description: equal clips sound equal, different ones do not.
        seed = zlib.crc32(clip.model_dump_json().encode())
        return make_noise(name, length, np.random.default_rng(seed))
    return _read(clip.file)


@lru_cache(maxsize=64)
def _read(source: str) -> Audio:
    file = file_of(source)
    try:
        pcm, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise ClipError(f"{source}: {file} is not sound that can be read: {error}") from error
    if not len(pcm) or not np.isfinite(pcm).all():
        raise ClipError(f"{source}: {file} is empty or holds NaN")
    return np.asarray(soxr.resample(pcm.mean(axis=1), rate_hz, USER_RATE_HZ), np.float32)


def _spoken(voice: str, text: str) -> Audio:
    """``text`` by a held-out voice, through the cache, always at the 16 bits that are stored."""
    from duplex_agent.train.data.user_speech import HELD_OUT, speak

    speakers = {speaker.voice: speaker for speaker in HELD_OUT}
    if voice not in speakers:
        raise ClipError(f"no held-out voice is called {voice!r}; known: {', '.join(speakers)}")
    key = json.dumps([CACHE_VERSION, str(speakers[voice]), text])
    cached = cache_dir() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        stored = np.load(cached, allow_pickle=False)
        return np.asarray(stored / np.float32(32767), np.float32)
    try:
        pcm = speak(speakers[voice], text)
    except DuplexError as error:
        raise ClipError(f"{voice}: {text!r}: {error}") from error
    stored = np.round(np.clip(pcm, -1, 1) * 32767).astype(np.int16)
    _keep(cached, stored)
    return np.asarray(stored / np.float32(32767), np.float32)


def _keep(target: Path, stored: NDArray[np.int16]) -> None:
    partial = target.with_suffix(f".{os.getpid()}.part")
    with contextlib.suppress(OSError):  # a full or read-only disk: it is spoken again next time
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, stored)
        partial.replace(target)
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)


def cache_dir() -> Path:
    """Folder of the synthesised clips."""
    return assets.cache_dir() / "eval-clips"
