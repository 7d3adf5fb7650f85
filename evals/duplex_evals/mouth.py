"""How well the agent's voice is understood: WER of ``say`` beside the teacher's own.

python -m duplex_evals.mouth [--limit N] [--steps N] [--out FOLDER]
"""

import json
import time
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import AGENT_RATE_HZ, TICK_MS, USER_RATE_HZ
from duplex_agent.model.voice import Voice, VoiceSettings, load_voice
from duplex_evals.recogniser import WordErrors, transcribe, word_errors


def sentences() -> list[str]:
    """The fixed held-out sentences."""
    text = files("duplex_evals").joinpath("data/mouth_sentences.txt").read_text("utf-8")
    return text.splitlines()


def speak(voice: Voice, text: str, seed: int) -> tuple[NDArray[np.float32], list[float]]:
    """Sound of ``text`` at 24 kHz and the compute time of every tick in ms."""
    stream = voice.start(seed)
    stream.write(text)
    stream.finish()
    pieces: list[NDArray[np.float32]] = []
    times: list[float] = []
    while True:
        start = time.perf_counter()
        spoken = stream.tick()
        times.append((time.perf_counter() - start) * 1000)
        pieces.append(spoken.pcm)
        if spoken.done:
            return np.concatenate(pieces), times


def _teacher(text: str) -> NDArray[np.float32]:
    from duplex_agent.model.spoken_text import speakable
    from duplex_agent.train.agent_speech import synthesise

    made = synthesise(speakable(text))
    assert made is not None
    return made.pcm.astype(np.float32) / np.float32(32768)


def _heard(pcm: NDArray[np.float32]) -> str:
    return transcribe(soxr.resample(pcm, AGENT_RATE_HZ, USER_RATE_HZ).astype(np.float32))


def main(
    limit: Annotated[int, typer.Option(help="Use only the first N sentences.")] = 0,
    steps: Annotated[int, typer.Option(help="Euler steps of the flow head.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the sound and the JSON.")] = None,
    teacher: Annotated[bool, typer.Option(help="Also measure the teacher voice.")] = True,
) -> None:
    """Print the table: WER of the agent's voice and of its teacher, and compute per tick."""
    settings = VoiceSettings(flow_steps=steps) if steps else VoiceSettings()
    voice = load_voice(settings)
    texts = sentences()[: limit or None]
    agent, reference = WordErrors(0, 0), WordErrors(0, 0)
    ticks: list[float] = []
    rows = []
    for index, text in enumerate(track(texts, "speaking", console=Console(stderr=True))):
        pcm, times = speak(voice, text, seed=index)
        heard = _heard(pcm)
        errors = word_errors(text, heard)
        agent, ticks = agent + errors, ticks + times
        rows.append({"text": text, "heard": heard, "errors": errors.errors})
        if teacher:
            reference += word_errors(text, _heard(_teacher(text)))
        if out:
            out.mkdir(parents=True, exist_ok=True)
            soundfile.write(out / f"{index:03d}.flac", pcm, AGENT_RATE_HZ)
    table = Table(title=f"Mouth: {len(texts)} held-out sentences, Whisper tiny.en")
    for column in ("voice", "WER", "words", "ms per tick p50", "p95", "real-time factor"):
        table.add_column(column, justify="left" if column == "voice" else "right")
    p50, p95 = np.percentile(ticks, [50, 95])
    table.add_row(
        f"agent, {settings.flow_steps} flow steps", f"{agent.rate:.1%}", str(agent.words),
        f"{p50:.1f}", f"{p95:.1f}", f"{np.mean(ticks) / TICK_MS:.2f}",
    )  # fmt: skip
    if teacher:
        table.add_row("teacher", f"{reference.rate:.1%}", str(reference.words), "", "", "")
    Console().print(table)
    if out:
        report = {"wer": agent.rate, "teacher_wer": reference.rate, "rows": rows}
        (out / "mouth.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    typer.run(main)
