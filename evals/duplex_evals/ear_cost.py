"""What the ear costs in a tick, and what the own decoder saves against CTranslate2's.

python -m duplex_evals.ear_cost [--clips N] [--look-ahead TICKS]

Both decoders read the same features of the same held-out sentences in the same ticks, so the ratio
holds on a busy machine too. Milliseconds are processor time of all threads, from the first letter
of a sentence until its sound is forgotten.
"""

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.model.ear import BLANK, EarEncoder
from duplex_agent.model.ear_stream import decode_characters, load_ear, silence_features
from duplex_agent.model.hearing import DEFAULT_LOOK_AHEAD
from duplex_agent.model.llama_spec import Precision
from duplex_agent.model.sentence import Sentence
from duplex_agent.model.transcriber import Transcriber
from duplex_agent.model.whisper_decoder import Decoder, WhisperDecoder
from duplex_evals import command
from duplex_evals.clips import load_clip
from duplex_evals.ctranslate2_decoder import Ctranslate2Decoder
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

    def step(self, features: Array, letters: str, encoder_ms: float) -> None:
        """Take one tick; counts only while somebody speaks."""
        began = time.process_time()
        self.state = self.transcriber.step(self.state, features, letters)[0]
        own_ms = (time.process_time() - began) * 1000
        if self.state.speaking:
            self.ms.append(encoder_ms + own_ms)


def main(
    clips: Annotated[int, typer.Option(help="Held-out sentences.", min=1)] = 10,
    look_ahead: Annotated[int, typer.Option(help="Ticks: 1, 2 or 4.")] = DEFAULT_LOOK_AHEAD,
) -> None:
    """Print a table; the ratio is to CTranslate2's mean."""
    torch.set_num_threads(1)
    encoder = load_ear(look_ahead_ticks=look_ahead).encoder
    silence = silence_features(encoder)
    before, own = Ctranslate2Decoder(), WhisperDecoder()
    decoders: dict[str, Decoder] = {"CTranslate2, int8": before, "own, int8": own}
    runs = {name: Run(Transcriber(decoder, silence)) for name, decoder in decoders.items()}
    encoder_ms = []
    for spoken in track(synthetic(clips), "listening", console=Console(stderr=True)):
        encoder_ms += _listen(encoder, spoken, list(runs.values()))
    table = Table(title=f"The ear's tick, {clips} sentences: processor ms")
    for heading in ("decoder", "mean", "median", "p95", "most", "ratio"):
        table.add_column(heading, justify="left" if heading == "decoder" else "right")
    first = float(np.mean(next(iter(runs.values())).ms))
    for name, run in runs.items():
        middle, high, most = np.percentile(run.ms, [50, 95, 100])
        mean = float(np.mean(run.ms))
        shown = [f"{x:.1f}" for x in (mean, middle, high, most)]
        table.add_row(name, *shown, f"{mean / first:.2f}")
    console = Console()
    console.print(table)
    console.print(f"of it the encoder: mean {np.mean(encoder_ms):.1f}", highlight=False)
    _print_equal(console, before.readings)


@torch.inference_mode()
def _listen(encoder: EarEncoder, spoken: Spoken, runs: list[Run]) -> list[float]:
    """One clip with quiet around it; the encoder's milliseconds of each tick."""
    speech = load_clip(spoken.clip)
    tail = TAIL_TICKS * USER_TICK_SAMPLES + -len(speech) % USER_TICK_SAMPLES
    pcm = torch.from_numpy(np.pad(speech, (LEAD_TICKS * USER_TICK_SAMPLES, tail)))
    for run in runs:
        run.state = Sentence()
    state, last, taken = encoder.new_state(), BLANK, []
    for number, tick in enumerate(pcm.split(USER_TICK_SAMPLES), start=1):
        began = time.process_time()
        features = encoder.step(state, tick[None])
        letters, last = decode_characters(encoder.logits(features)[0], last)
        taken.append((time.process_time() - began) * 1000)
        if number > encoder.look_ahead_ticks:
            for run in runs:
                run.step(features[0].numpy(), letters, taken[-1])
    return taken


def _print_equal(console: Console, readings: list[tuple[Array, list[int], list[int]]]) -> None:
    """How many of CTranslate2's readings each decoder reads alike, given the same features.

    Full precision is what all are held against, in the first pieces: some readings end in a loop.
    """
    exact = Ctranslate2Decoder("float32")
    wanted = [_first_pieces(exact, features, written) for features, written, _ in readings]
    found = {"CTranslate2, int8": [ids[:_COMPARED] for _, _, ids in readings]}
    precisions: tuple[Precision, ...] = ("int8", "fp32")
    for precision in precisions:
        own = WhisperDecoder(precision)
        found[f"own, {precision}"] = [_first_pieces(own, f, written) for f, written, _ in readings]
    console.print(f"readings that CTranslate2 makes alike in float32, of {len(readings)}:")
    for name, read in found.items():
        same = sum(ids == ours for ids, ours in zip(wanted, read, strict=True))
        console.print(f"  {name}: {same}", highlight=False)


def _first_pieces(decoder: Decoder, features: Array, written: list[int]) -> list[int]:
    pieces = decoder.read([decoder.sound(features)], written)
    return [piece.id for piece in islice(pieces, _COMPARED)]


if __name__ == "__main__":
    command.run(main, "duplex_evals.ear_cost")
