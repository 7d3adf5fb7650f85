"""What the codec loses: held-out sentences of the teacher, and the same through tokens and back.

duplex-evals resynthesis [--limit N] [--weights FOLDER]

WER by Whisper tiny.en, DNSMOS, and, where the packages ``pesq`` and ``pystoi`` are installed
(``pip install pesq pystoi``; the first needs a C compiler), PESQ (wide band) and STOI.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.terminal import Console
from duplex_agent.train.recipes.latents import load_encoder
from duplex_agent.voice.reference.codec import OUTPUT_DELAY_SAMPLES
from duplex_agent.voice.voice import load_voice
from duplex_evals.speech.quality import speech_quality
from duplex_evals.speech.recogniser import WordErrors, transcribe, word_errors
from duplex_evals.texts import lines
from duplex_evals.voice.evaluate import SENTENCES
from duplex_evals.voice.listening_page import resynthesis
from duplex_evals.voice.speaking import Audio, for_listeners, teacher_speech

_NOT_MEASURED: Final = "not measured"
_INTRUSIVE: Final = ("PESQ, wide band", "STOI")


@dataclass(frozen=True)
class Heard:
    """One version of one sentence: errors, DNSMOS overall and P.808."""

    errors: WordErrors
    overall: float
    p808: float


def judged(text: str, pcm: Audio) -> Heard:
    """``pcm`` float32 [n] at 24 kHz, in which ``text`` is said for more than half a second."""
    audio = for_listeners(pcm)
    rated = speech_quality(audio)
    assert rated is not None, f"too short to be rated: {text}"
    return Heard(word_errors(text, transcribe(audio)), rated.overall, rated.p808)


def likeness(source: Audio, made: Audio) -> tuple[float, float] | None:
    """PESQ and STOI of ``made`` against ``source``, aligned, 24 kHz; None without the packages."""
    try:
        from pesq import pesq
        from pystoi import stoi
    except ImportError:
        return None
    length = min(len(source), len(made))
    real, copy = for_listeners(source[:length]), for_listeners(made[:length])
    return float(pesq(USER_RATE_HZ, real, copy, "wb")), float(stoi(real, copy, USER_RATE_HZ))


def main(
    limit: Annotated[int, typer.Option(help="Only the first N sentences; 0: all 200.")] = 0,
    weights: Annotated[Path, typer.Option(help="Folder of weights.")] = WEIGHTS_DIR,
) -> None:
    """Print the table: teacher beside resynthesis."""
    torch.set_num_threads(1)
    encoder = load_encoder(weights)
    voice = load_voice(folder=weights)
    pairs: list[tuple[Heard, Heard]] = []
    alike: list[tuple[float, float]] = []
    for text in track(lines(SENTENCES)[: limit or None], console=Console(stderr=True)):
        source = teacher_speech(text)
        made = resynthesis(encoder, voice, source)[OUTPUT_DELAY_SAMPLES:]
        pairs.append((judged(text, source), judged(text, made)))
        if (found := likeness(source, made)) is not None:
            alike.append(found)
    table = Table(title=f"Codec: {len(pairs)} held-out sentences")
    for column in ("result", "teacher", "resynthesis", "target"):
        table.add_column(column, justify="left" if column == "result" else "right")
    sides = list(zip(*pairs, strict=True))
    errors = [sum((heard.errors for heard in side), WordErrors(0, 0)) for side in sides]
    rates = [f"{side.rate:.1%}" for side in errors]
    table.add_row("WER", *rates, "within 2 points")
    for name, field, target in (
        ("DNSMOS overall", "overall", "within 0.2"),
        ("DNSMOS P.808", "p808", "reported"),
    ):
        means = [f"{np.mean([getattr(h, field) for h in side]):.2f}" for side in sides]
        table.add_row(name, *means, target)
    means = [f"{m:.2f}" for m in np.mean(alike, axis=0)] if alike else [_NOT_MEASURED] * 2
    for name, mean in zip(_INTRUSIVE, means, strict=True):
        table.add_row(name, "", mean, "reported")
    Console().print(table)
