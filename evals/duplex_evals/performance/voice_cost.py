"""What the voice costs in a tick and until its first audio: PyTorch's modules and ONNX Runtime.

duplex-evals voice-cost [--limit N]

Every version speaks every held-out sentence right after the others, so the ratios hold on a busy
machine too. Milliseconds are CPU time of one thread.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final

import numpy as np
import torch
import typer
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import TICK_MS
from duplex_agent.terminal import Console
from duplex_agent.voice.reference.voice import load_torch_voice
from duplex_agent.voice.voice import Voice, load_voice
from duplex_evals.texts import lines
from duplex_evals.voice.evaluate import SENTENCES
from duplex_evals.voice.speaking import speak

_WARM_UP: Final = "Good morning."


@dataclass
class Cost:
    """A version of the voice, and the milliseconds of its ticks and to its first audio."""

    voice: Voice
    tick_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)

    def speak(self, text: str, seed: int) -> None:
        speech = speak(self.voice, text, seed)
        self.tick_ms += speech.cpu_ms
        self.first_ms.append(speech.first_audio_ms)


def main(limit: Annotated[int, typer.Option(help="Sentences.", min=1)] = 20) -> None:
    """Print a table; ratios are to PyTorch's means."""
    torch.set_num_threads(1)
    costs = {
        "PyTorch, float32": Cost(load_torch_voice()),
        "ONNX Runtime, float32": Cost(load_voice(precision="fp32")),
        "ONNX Runtime, int8": Cost(load_voice()),
    }
    for cost in costs.values():
        speak(cost.voice, _WARM_UP, seed=0)
    texts = lines(SENTENCES)[:limit]
    for index, text in enumerate(track(texts, "speaking", console=Console(stderr=True))):
        for cost in costs.values():
            cost.speak(text, index)
    console = Console()
    console.print(_table("A tick", {name: cost.tick_ms for name, cost in costs.items()}))
    for name, cost in costs.items():
        factor = np.mean(cost.tick_ms) / TICK_MS
        console.print(f"real-time factor, {name}: {factor:.3f}")
    first = {name: cost.first_ms for name, cost in costs.items()}
    console.print(_table("Time to the first 80 ms of audio", first))


def _table(title: str, taken: dict[str, list[float]]) -> Table:
    table = Table(title=f"{title}: CPU ms")
    for heading in ("voice", "mean", "median", "p95", "most", "ratio"):
        table.add_column(heading, justify="left" if heading == "voice" else "right")
    before = float(np.mean(next(iter(taken.values()))))
    for name, ms in taken.items():
        mean = float(np.mean(ms))
        shown = [f"{x:.1f}" for x in (mean, *np.percentile(ms, [50, 95, 100]))]
        table.add_row(name, *shown, f"{mean / before:.2f}")
    return table
