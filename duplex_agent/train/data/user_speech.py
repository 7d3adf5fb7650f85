"""Synthetic users: many voices speaking many sentences, at 16 kHz.

Five synthesisers: Kokoro (natural; mixes of its style vectors are new speakers), Piper's joe,
flite, festival and espeak-ng. The last three are command-line programs; none of them is imported by
the product.
Some voices are held out by name: they speak in the evaluation only and never in training.
"""

import json
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.errors import TrainingError
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.train.data.kokoro_phones import PHONE_IDS, phones

Engine = Literal["kokoro", "piper", "flite", "festival", "espeak"]
_KOKORO_RATE_HZ: Final = 24_000
_ESPEAK_VARIANTS: Final = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m8", "f1", "f2", "f3", "f5", "adam", "Alex", "Alicia",
    "Andrea", "Annie", "antonio", "belinda", "benjamin", "boris", "david", "Denis", "edward",
    "Gene", "Henrique", "Hugo", "john", "kaukovalta", "marcelo", "max", "michael", "Mike", "pablo",
    "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "victor",
    "zac", "anika",
)  # fmt: skip
_ESPEAK_ACCENTS: Final = (
    "en-us", "en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029",
    "en-gb-x-gbclan",
)  # fmt: skip
_KOKORO_TRAINING: Final = (
    "jf_alpha", "jf_gongitsune", "jf_nezumi", "jm_kumo",
    "af_alloy", "af_aoede", "af_bella", "af_jessica", "af_kore", "af_nicole", "af_nova", "af_river",
    "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam", "am_onyx",
    "am_puck", "am_santa", "bf_alice", "bf_isabella", "bf_lily", "bm_daniel", "bm_fable",
    "bm_lewis",
)  # fmt: skip
_FLITE_TRAINING: Final = ("kal16", "awb", "slt", "slt", "awb")
_FESTIVAL_TRAINING: Final = ("ked_diphone", "ked_diphone", "kal_diphone", "cmu_us_slt_arctic_hts")


@dataclass(frozen=True)
class Speaker:
    """A synthetic person. ``styles`` are Kokoro styles with weights that add up to one."""

    engine: Engine
    voice: str
    speed: float = 1.0
    pitch: int = 50
    styles: tuple[tuple[str, float], ...] = ()


HELD_OUT: Final = (
    Speaker("kokoro", "tebukuro", styles=(("jf_tebukuro", 1.0),)),
    Speaker("kokoro", "tebukuro-kumo", styles=(("jf_tebukuro", 0.5), ("jm_kumo", 0.5))),
    Speaker("flite", "rms"),
    Speaker("espeak", "en-us+m7", 1.0, 45),
    Speaker("espeak", "en-gb+f4", 0.95, 55),
)
"""Voices that only the evaluation uses. Kokoro's tebukuro, flite's rms and espeak-ng's m7 and f4
are in no training speaker; the second voice is half tebukuro, half a style that is.
"""

HELD_OUT_NATURAL: Final = (
    Speaker("kokoro", "heart", styles=(("af_heart", 1.0),)),
    Speaker("kokoro", "michael", styles=(("am_michael", 1.0),)),
    Speaker("kokoro", "emma", styles=(("bf_emma", 1.0),)),
    Speaker("kokoro", "george", styles=(("bm_george", 1.0),)),
)
"""English speakers of Kokoro, American and British, that no training speaker is a mix of."""


def training_speaker(engine: Engine, rng: random.Random) -> Speaker:
    """A random speaker of ``engine`` that is not held out."""
    speed = rng.uniform(0.85, 1.25)
    if engine == "kokoro":
        names = rng.sample(_KOKORO_TRAINING, rng.choice((1, 2, 2, 3)))
        weights = [rng.uniform(0.2, 1.0) for _ in names]
        styles = tuple((n, s / sum(weights)) for n, s in zip(names, weights, strict=True))
        return Speaker(engine, "mix", speed, styles=styles)
    if engine == "flite":
        return Speaker(engine, rng.choice(_FLITE_TRAINING), speed)
    if engine == "festival":
        return Speaker(engine, rng.choice(_FESTIVAL_TRAINING), speed)
    if engine == "espeak":
        voice = f"{rng.choice(_ESPEAK_ACCENTS)}+{rng.choice(_ESPEAK_VARIANTS)}"
        return Speaker(engine, voice, speed, rng.randint(25, 75))
    return Speaker(engine, "joe")


def _run(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        raise TrainingError(f"{program} is not installed: it makes the synthetic user voices")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrainingError(f"{program} failed: {done.stderr.strip()[:200]}")
    return done.stdout


@lru_cache(maxsize=1)
def _kokoro() -> tuple[Any, dict[str, NDArray[np.float32]]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(assets.path("kokoro-82m")), options)
    return session, _kokoro_styles()


def _kokoro_styles() -> dict[str, NDArray[np.float32]]:
    """Style vectors by name, [510, 1, 256] each: a row for every length in phones."""
    with np.load(assets.path("kokoro-voices")) as arrays:
        styles = {name: arrays[name] for name in arrays.files}
    with tarfile.open(assets.path("kokoro-js")) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.name.endswith(".bin") else None
            if file is not None:
                rows = np.frombuffer(file.read(), np.float32).reshape(-1, 1, 256)
                styles.setdefault(Path(member.name).stem, rows)
    return styles


def _speak_kokoro(speaker: Speaker, text: str) -> NDArray[np.float32]:
    session, styles = _kokoro()
    spoken = phones(_run("espeak-ng", "-v", "en-us", "--ipa=3", "--tie=^", "-q", text), text)
    ids = [PHONE_IDS[c] for c in spoken if c in PHONE_IDS]
    # A style row belongs to one length in phones.
    rows = [weight * styles[name][len(ids) - 1] for name, weight in speaker.styles]
    style = np.sum(rows, axis=0, dtype=np.float32).reshape(1, 256)
    feeds = {
        "tokens": np.array([[0, *ids, 0]], np.int64),
        "style": style,
        "speed": np.array([speaker.speed], np.float32),
    }
    pcm = np.asarray(session.run(None, feeds)[0], np.float32).ravel()
    return np.asarray(soxr.resample(pcm, _KOKORO_RATE_HZ, USER_RATE_HZ), np.float32)


def _speak_program(speaker: Speaker, text: str) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "speech.wav")
        if speaker.engine == "flite":
            stretch = f"duration_stretch={1 / speaker.speed:.3f}"
            _run("flite", "-voice", speaker.voice, "--setf", stretch, "-t", text, "-o", out)
        elif speaker.engine == "festival":
            stretch = f"(Parameter.set 'Duration_Stretch {1 / speaker.speed:.3f})"
            voice = f"(voice_{speaker.voice})"
            written = Path(folder) / "text.txt"
            written.write_text(text, encoding="ascii", errors="replace")
            _run("text2wave", "-eval", voice, "-eval", stretch, "-o", out, str(written))
        else:
            rate, pitch = str(round(160 * speaker.speed)), str(speaker.pitch)
            _run("espeak-ng", "-v", speaker.voice, "-s", rate, "-p", pitch, "-w", out, text)
        pcm, file_rate = soundfile.read(out, dtype="float32")
    return np.asarray(soxr.resample(pcm, file_rate, USER_RATE_HZ), np.float32)


def _speak_piper(text: str) -> NDArray[np.float32]:
    from duplex_agent.clock import AGENT_RATE_HZ
    from duplex_agent.train.data.agent_speech import synthesise

    made = synthesise(text)
    pcm = made.pcm if made else np.zeros(0, np.int16)
    return np.asarray(soxr.resample(pcm / np.float32(32768), AGENT_RATE_HZ, USER_RATE_HZ))


def speak(speaker: Speaker, text: str) -> NDArray[np.float32]:
    """``text`` spoken by ``speaker``: float32 [n] at 16 kHz, empty when there is nothing to say.

    Raises TrainingError when the synthesiser's program is missing or fails.
    """
    if not re.search("[a-zA-Z]", text):
        return np.zeros(0, np.float32)
    if speaker.engine == "kokoro":
        return _speak_kokoro(speaker, text)
    if speaker.engine == "piper":
        return _speak_piper(text)
    return _speak_program(speaker, text)


@dataclass(frozen=True)
class UserUtterance:
    """``pcm`` int16 [n] at 16 kHz and what is said in it, as written."""

    text: str
    engine: str
    pcm: NDArray[np.int16]


def make_shard(target: Path, engine: Engine, sentences: Sequence[str], seed: int) -> None:
    """Speak ``sentences`` in random training voices of ``engine`` into ``target`` (npz)."""
    rng = random.Random(seed)
    texts, sounds = [], []
    for sentence in sentences:
        pcm = speak(training_speaker(engine, rng), sentence)
        if len(pcm):
            texts.append(sentence)
            sounds.append(np.clip(pcm * 32767, -32768, 32767).astype(np.int16))
    store_arrays(
        target,
        pcm=np.concatenate(sounds),
        samples=np.array([len(s) for s in sounds]),
        texts=np.frombuffer(json.dumps(texts).encode(), np.uint8),
    )


def read_corpus(folder: Path) -> Iterator[UserUtterance]:
    """Every utterance of the shards in ``folder``, in a fixed order."""
    for shard in sorted(folder.glob("*.npz")):
        with np.load(shard) as arrays:
            ends = np.cumsum(arrays["samples"])
            sounds = np.split(arrays["pcm"], ends[:-1])
            texts = json.loads(arrays["texts"].tobytes())
        for text, pcm in zip(texts, sounds, strict=True):
            yield UserUtterance(text, shard.name.split("-")[0], pcm)
