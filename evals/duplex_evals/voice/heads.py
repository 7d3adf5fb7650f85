"""Mouths with different heads, side by side: clean, with noise on the history, on hard texts.

duplex-evals voice-heads flow=mouth.safetensors:4 codes=mouth-fsq.safetensors:4 [--limit N]

Each mouth is a name, a weight file and its steps (rounds for codes). Noise is added
to every token that is fed back, in standard deviations: what one wrong token does to those after it
is where discrete and continuous tokens are said to differ (Flow-Omni, arXiv 2412.04917).
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from rich.progress import track
from rich.table import Table

from duplex_agent.terminal import Console
from duplex_agent.voice.config import LATENT_WIDTH
from duplex_agent.voice.reference.mouth import Mouth, MouthState
from duplex_agent.voice.reference.mouth_file import load_mouth
from duplex_agent.voice.reference.mouth_fsq import CodeMouth, from_codes, to_codes
from duplex_agent.voice.reference.voice import TorchMouth
from duplex_agent.voice.voice import Array, Voice, VoiceSettings, load_voice
from duplex_evals.errors import EvalError
from duplex_evals.texts import lines
from duplex_evals.voice.evaluate import SENTENCES, STRESS
from duplex_evals.voice.rows import Row, measured
from duplex_evals.voice.speaking import speak

NOISE_LEVELS: Final = (0.0, 0.5, 1.0)
_SEED: Final = 7


class NoisyHistoryMouth(TorchMouth):
    """A mouth whose last token reaches it with noise of ``spread`` standard deviations."""

    def __init__(self, mouth: Mouth, spread: float) -> None:
        super().__init__(mouth)
        self._spread, self._codes = spread, isinstance(mouth, CodeMouth)
        self._rng = torch.Generator().manual_seed(_SEED)

    def step(
        self, slots: Array, thinker: Array, noise: Array, state: MouthState, steps: int
    ) -> tuple[Array, MouthState]:
        """As ``TorchMouth.step``; codes stay codes."""
        drawn = torch.randn(len(noise), LATENT_WIDTH, generator=self._rng)
        noisy = state.previous + self._spread * drawn
        if self._codes:
            noisy = from_codes(to_codes(noisy))
        return super().step(slots, thinker, noise, replace(state, previous=noisy), steps)


def voice_of(text: str, spread: float) -> tuple[str, Voice]:
    """Name and voice of "NAME=FILE:STEPS". Raises EvalError, CheckpointError."""
    name, _, rest = text.partition("=")
    file, _, steps = rest.rpartition(":")
    if not (name and file and steps.isdigit() and int(steps) > 0):
        raise EvalError(f"{text!r} is no mouth: write NAME=FILE:STEPS")
    mouth, _ = load_mouth(Path(file))
    base = load_voice(VoiceSettings(flow_steps=int(steps)))
    noisy = NoisyHistoryMouth(mouth, spread)
    return name, Voice(base.phones, base.timing, noisy, base.codec, base.settings)


def spoken(voice: Voice, texts: list[str], title: str) -> list[Row]:
    """A row per text."""
    rows = []
    for index, text in enumerate(track(texts, title, console=Console(stderr=True))):
        speech = speak(voice, text, index)
        rows.append(measured(text, speech.pcm, speech, None))
    return rows


def cells(rows: list[Row]) -> list[str]:
    """WER, DNSMOS overall, and words skipped or repeated."""
    errors, words = sum(r.errors for r in rows), sum(r.words for r in rows)
    rated = [r.overall for r in rows if r.overall is not None]
    faults = sum(len(r.skipped) + len(r.repeated) for r in rows)
    return [f"{errors / max(1, words):.1%}", f"{np.mean(rated):.2f}", str(faults)]


def main(
    mouths: Annotated[list[str], typer.Argument(help="NAME=FILE:STEPS ...")],
    limit: Annotated[int, typer.Option(help="Sentences and hard items of each list.")] = 40,
) -> None:
    """Print the table: one row per mouth and condition."""
    torch.set_num_threads(1)
    texts, odd = lines(SENTENCES)[:limit], lines(STRESS)[:limit]
    table = Table(title=f"Heads: {len(texts)} held-out sentences, {len(odd)} hard items")
    for column in ("mouth", "input", "WER", "DNSMOS overall", "words skipped or repeated"):
        table.add_column(column, justify="left" if column in ("mouth", "input") else "right")
    for text in mouths:
        for spread in NOISE_LEVELS:
            name, voice = voice_of(text, spread)
            kind = f"history + {spread} noise" if spread else "clean"
            table.add_row(name, kind, *cells(spoken(voice, texts, f"{name}, {kind}")))
        name, voice = voice_of(text, 0.0)
        table.add_row(name, "hard texts", *cells(spoken(voice, odd, f"{name}, hard texts")))
    Console().print(table)
