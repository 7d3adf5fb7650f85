"""The agent's teacher voice: Piper's joe speaking training sentences, with phone timings.

Piper (GPL) and the espeak-ng inside it make training data only; nothing here is imported by the
product. Each shard holds the audio at 24 kHz, the spoken text, its phones and their durations.
"""

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from rich.progress import Progress

from duplex_agent import assets
from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.train.data.text import agent_sentences
from duplex_agent.voice.spoken_text import speakable

SHARD_SENTENCES = 100
CORPUS_SENTENCES, SMOKE_SENTENCES = 4800, 24
# Less sampling noise than Piper's defaults (0.667, 0.8): one steady voice is learnt sooner.
_NOISE_SCALE, _NOISE_WIDTH = 0.5, 0.5


@dataclass(frozen=True)
class Utterance:
    """One sentence of the teacher: ``pcm`` int16 [n] at 24 kHz, phones with seconds each."""

    text: str
    phones: tuple[str, ...]
    durations_s: NDArray[np.float32]
    pcm: NDArray[np.int16]


_voice = None


def _load_voice() -> None:
    global _voice
    os.environ["OMP_NUM_THREADS"] = "1"
    import onnxruntime
    from piper import PiperVoice

    class OneThread(onnxruntime.InferenceSession):
        def __init__(self, path: str, sess_options: object = None, **kwargs: object) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            super().__init__(path, options, **kwargs)

    onnxruntime.InferenceSession = OneThread
    _voice = PiperVoice.load(
        assets.path("piper-joe"),
        config_path=assets.path("piper-joe-config"),
        include_alignments=True,
    )


def synthesise(text: str) -> Utterance | None:
    """Speak one sentence; None when Piper gives no sound or no timings for it."""
    from piper.config import SynthesisConfig

    if _voice is None:
        _load_voice()
    settings = SynthesisConfig(noise_scale=_NOISE_SCALE, noise_w_scale=_NOISE_WIDTH)
    phones: list[str] = []
    durations: list[float] = []
    chunks = []
    assert _voice is not None
    for chunk in _voice.synthesize(text, settings, include_alignments=True):
        if not chunk.phoneme_alignments:
            return None
        chunks.append(chunk.audio_int16_array)
        for alignment in chunk.phoneme_alignments:
            phones.append(alignment.phoneme)
            durations.append(float(alignment.num_samples) / chunk.sample_rate)
        rate = chunk.sample_rate
    if not chunks:
        return None
    pcm = soxr.resample(np.concatenate(chunks).astype(np.float32) / 32768, rate, AGENT_RATE_HZ)
    return Utterance(
        text,
        tuple(phones),
        np.asarray(durations, np.float32),
        np.clip(pcm * 32767, -32768, 32767).astype(np.int16),
    )


def pronounce(text: str) -> list[str]:
    """Phones of speakable ``text`` from the teacher's own front end, without speaking it."""
    if _voice is None:
        _load_voice()
    assert _voice is not None
    return [p for sentence in _voice.phonemize(text) for p in ("^", *sentence, "$")]


def _make_shard(job: tuple[Path, Sequence[str]]) -> float:
    target, sentences = job
    made = [u for s in sentences if (u := synthesise(speakable(s))) is not None]
    info = json.dumps([{"text": u.text, "phones": u.phones} for u in made]).encode()
    pcm = np.concatenate([u.pcm for u in made])
    store_arrays(
        target,
        pcm=pcm,
        samples=np.asarray([len(u.pcm) for u in made]),
        durations_s=np.concatenate([u.durations_s for u in made]),
        info=np.frombuffer(info, np.uint8),
    )
    return len(pcm) / AGENT_RATE_HZ


def make_corpus(folder: Path, sentences: Sequence[str], processes: int) -> None:
    """Speak ``sentences`` into shards under ``folder``; shards that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for start in range(0, len(sentences), SHARD_SENTENCES):
        target = folder / f"shard-{start // SHARD_SENTENCES:04d}.npz"
        if not target.exists():
            jobs.append((target, sentences[start : start + SHARD_SENTENCES]))
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    with Progress() as progress, context.Pool(min(processes, len(jobs)), _load_voice) as pool:
        task = progress.add_task("teacher voice", total=len(jobs))
        for _ in pool.imap_unordered(_make_shard, jobs):
            progress.advance(task)


def read_corpus(folder: Path) -> Iterator[Utterance]:
    """Every utterance of the shards in ``folder``, in a fixed order."""
    for shard in sorted(folder.glob("shard-*.npz")):
        with np.load(shard) as arrays:
            pcm, durations = arrays["pcm"], arrays["durations_s"]
            infos = json.loads(arrays["info"].tobytes())
            at, phone_at = 0, 0
            for info, samples in zip(infos, arrays["samples"], strict=True):
                phones = tuple(info["phones"])
                yield Utterance(
                    info["text"],
                    phones,
                    durations[phone_at : phone_at + len(phones)],
                    pcm[at : at + samples],
                )
                at, phone_at = at + int(samples), phone_at + len(phones)


def prepare_speech(work: Path, smoke: bool) -> Path:
    """The teacher's speech beside ``work``, made when missing; returns its folder."""
    folder = work.parent / ("agent-speech-smoke" if smoke else "agent-speech")
    sentences = agent_sentences(seed=1, count=SMOKE_SENTENCES if smoke else CORPUS_SENTENCES)
    make_corpus(folder, sentences, processes=os.cpu_count() or 1)
    return folder
