"""What the ear costs in a tick: its decoder beside CTranslate2's, full-context pass, adapter.

duplex-evals ear-cost [--clips N] [--look-ahead TICKS]

All hear the same held-out sentences in the same ticks, so the ratio holds on a busy machine too.
Milliseconds are CPU time of all threads, from the first character of a sentence until its audio
is forgotten.
"""

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.adapter.stream import AdapterStream
from duplex_agent.ear.encoder_config import BLANK
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD
from duplex_agent.ear.load import ADAPTER, RATES, WEIGHTS
from duplex_agent.ear.prepared import prepared_adapter, prepared_ear
from duplex_agent.ear.streaming import decode_characters
from duplex_agent.ear.tick_encoder import TickEncoder
from duplex_agent.ear.transcriber import Transcriber
from duplex_agent.ear.utterance import Sentence
from duplex_agent.ear.whisper_decoder import Decoder, WhisperDecoder
from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.terminal import Console
from duplex_evals.conversation.clips import load_clip
from duplex_evals.performance.ctranslate2_decoder import Ctranslate2Decoder
from duplex_evals.understanding.ear_clips import Spoken, synthetic
from duplex_evals.understanding.listening import LEAD_TICKS, TAIL_TICKS

_COMPARED: Final = 20

Array = NDArray[np.float32]


@dataclass
class Run:
    """One decoder's transcriber, where it is, and the milliseconds of the ticks so far."""

    transcriber: Transcriber
    state: Sentence = field(default_factory=Sentence)
    ms: list[float] = field(default_factory=list)

    def step(self, features: Array, characters: str, encoder_ms: float) -> None:
        """Take one tick; counts only while somebody speaks."""
        began = time.process_time()
        self.state = self.transcriber.step(self.state, features, characters)[0]
        own_ms = (time.process_time() - began) * 1000
        if self.state.speaking:
            self.ms.append(encoder_ms + own_ms)


def main(
    clips: Annotated[int, typer.Option(help="Held-out sentences.", min=1)] = 10,
    look_ahead: Annotated[int, typer.Option(help="Ticks: 1, 2 or 4.")] = DEFAULT_LOOK_AHEAD,
) -> None:
    """Print a table; the ratio is to CTranslate2's mean."""
    ear = prepared_ear(WEIGHTS, look_ahead)
    before, own = Ctranslate2Decoder(), WhisperDecoder()
    silence, full_context = ear.silence(), ear.full_context()
    runs = {
        "CTranslate2's decoder": Run(Transcriber(before, silence)),
        "own decoder": Run(Transcriber(own, silence)),
        "own decoder, full-context pass": Run(Transcriber(own, silence, full_context)),
    }
    parts = Parts(ear.encoder())
    for spoken in track(synthetic(clips), "listening", console=Console(stderr=True)):
        _listen(parts, spoken, list(runs.values()))
    table = Table(title=f"The ear's tick, {clips} sentences: CPU ms")
    for heading in ("ear with", "mean", "median", "p95", "most", "ratio"):
        table.add_column(heading, justify="left" if heading == "ear with" else "right")
    first = float(np.mean(next(iter(runs.values())).ms))
    for name, run in runs.items():
        middle, high, most = np.percentile(run.ms, [50, 95, 100])
        mean = float(np.mean(run.ms))
        shown = [f"{x:.1f}" for x in (mean, middle, high, most)]
        table.add_row(name, *shown, f"{mean / first:.2f}")
    console = Console()
    console.print(table)
    console.print(f"of it the encoder: mean {np.mean(parts.encoder_ms):.1f}")
    for name, ms in parts.adapter_ms.items():
        console.print(f"on top, neural adapter at {name}: mean {np.mean(ms):.1f}")
    _print_equal(console, before.decodes)


class Parts:
    """The encoder, the adapter at both its rates, and the milliseconds of their ticks."""

    def __init__(self, encoder: TickEncoder) -> None:
        self.encoder = encoder
        language = find_language_model(DEFAULT_MODEL)
        table = prepared_text(language).embedding
        adapter = prepared_adapter(ADAPTER, table, language.fingerprint)
        self.adapters = {name: AdapterStream(adapter, rate) for name, rate in RATES.items()}
        self.encoder_ms: list[float] = []
        self.adapter_ms: dict[str, list[float]] = {name: [] for name in RATES}


def _listen(parts: Parts, spoken: Spoken, runs: list[Run]) -> None:
    """One clip with quiet around it."""
    speech = load_clip(spoken.clip)
    tail = TAIL_TICKS * USER_TICK_SAMPLES + -len(speech) % USER_TICK_SAMPLES
    sound = np.pad(speech, (LEAD_TICKS * USER_TICK_SAMPLES, tail)).astype(np.float32)
    for run in runs:
        run.state = Sentence()
    encoder = parts.encoder
    state, last = encoder.new_state(), BLANK
    told = {name: adapter.new_state() for name, adapter in parts.adapters.items()}
    for number, pcm in enumerate(sound.reshape(-1, USER_TICK_SAMPLES), start=1):
        began = time.process_time()
        state, features, log_probs = encoder.step(state, pcm)
        characters, last = decode_characters(log_probs, last)
        parts.encoder_ms.append((time.process_time() - began) * 1000)
        for run in runs:
            run.state = run.transcriber.hear(run.state, pcm)
        if number <= encoder.look_ahead_ticks:
            continue
        for run in runs:
            run.step(features, characters, parts.encoder_ms[-1])
        for name, adapter in parts.adapters.items():
            began = time.process_time()
            adapter.hear(told[name], features, log_probs)
            parts.adapter_ms[name].append((time.process_time() - began) * 1000)


def _print_equal(console: Console, decodes: list[tuple[Array, list[int], list[int]]]) -> None:
    """How many of CTranslate2's decodes each decoder repeats, given the same features.

    Full precision is what all are held against, in the first tokens: some decodes end in a loop.
    """
    exact = Ctranslate2Decoder("float32")
    wanted = [_first_tokens(exact, features, prefix) for features, prefix, _ in decodes]
    found = {"CTranslate2, int8": [ids[:_COMPARED] for _, _, ids in decodes]}
    precisions: tuple[Precision, ...] = ("int8", "fp32")
    for precision in precisions:
        own = WhisperDecoder(precision)
        found[f"own, {precision}"] = [_first_tokens(own, f, prefix) for f, prefix, _ in decodes]
    console.print(f"decodes that CTranslate2 makes alike in float32, of {len(decodes)}:")
    for name, read in found.items():
        same = sum(ids == ours for ids, ours in zip(wanted, read, strict=True))
        console.print(f"  {name}: {same}")


def _first_tokens(decoder: Decoder, features: Array, prefix: list[int]) -> list[int]:
    tokens = decoder.decode([decoder.cross_attention(features)], prefix)
    return [piece.id for piece in islice(tokens, _COMPARED)]
