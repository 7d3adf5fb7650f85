"""How well the ear understands: WER of what the thinker is told, beside offline Whisper tiny.en.

python -m duplex_evals.ear [--limit N] [--out FOLDER]

A hundred sentences that no training used, spoken by voices that no training used, and the human
clips of Debian's ``pocketsphinx-testdata`` where that package is installed. Needs espeak-ng and
flite for the voices. Two figures per group: the tokens' pieces, and the letters of the character
head alone.
"""

import json
import re
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from duplex_agent.audio.files import read_audio
from duplex_agent.clock import TICK_MS, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.model.ear_stream import StreamingEar, load_ear
from duplex_agent.train.user_speech import HELD_OUT, speak
from duplex_evals.recogniser import WordErrors, transcribe, word_errors

_HUMAN_CLIPS: Final = Path("/usr/share/pocketsphinx/test/data")
_TRANSCRIPTS: Final = ("cards/cards.transcription", "librivox/transcription")
_TURNS: Final = (0, 1, 0, 1, 2, 0, 1, 3, 2, 4)
"""Which held-out voice speaks which sentence, over and over: six Kokoro, two flite, two espeak."""
_NO_ERRORS: Final = WordErrors(0, 0)
_LEAD_S: Final = 0.4
_TRAIL_S: Final = 1.2


@dataclass(frozen=True)
class Clip:
    """``pcm`` float32 [n] at 16 kHz, what is said in it, and who says it."""

    group: str
    text: str
    pcm: NDArray[np.float32]


@dataclass
class Figures:
    """Errors of one group: of the tokens, of the letters, and of Whisper."""

    tokens: WordErrors = _NO_ERRORS
    letters: WordErrors = _NO_ERRORS
    whisper: WordErrors = _NO_ERRORS
    seconds: float = 0.0
    rows: list[dict[str, str]] = field(default_factory=list)


def sentences() -> list[str]:
    """The fixed held-out sentences."""
    text = files("duplex_evals").joinpath("data/ear_sentences.txt").read_text("utf-8")
    return text.splitlines()


def spoken_clips(limit: int | None) -> list[Clip]:
    """The held-out sentences in held-out voices."""
    clips = []
    for index, text in enumerate(
        track(sentences()[:limit], "voices", console=Console(stderr=True))
    ):
        speaker = HELD_OUT[_TURNS[index % len(_TURNS)]]
        clips.append(Clip(f"{speaker.engine} {speaker.voice}", text, speak(speaker, text)))
    return clips


def human_clips(folder: Path = _HUMAN_CLIPS) -> list[Clip]:
    """The transcribed recordings under ``folder``; none where it does not exist."""
    clips = []
    for name in _TRANSCRIPTS:
        if not (folder / name).exists():
            continue
        for line in (folder / name).read_text("utf-8").splitlines():
            match = re.fullmatch(r"<s>\s*(.*?)\s*</s>\s*\((.+)\)", line.strip())
            if match:
                wav = (folder / name).parent / f"{match[2]}.wav"
                clips.append(
                    Clip(f"human {Path(name).parts[0]}", match[1], read_audio(wav, USER_RATE_HZ))
                )
    return clips


def understand(ear: StreamingEar, pcm: NDArray[np.float32]) -> tuple[str, str, list[float]]:
    """Pieces, letters, and ms of compute per tick of one clip with silence around it."""
    lead, trail = (np.zeros(int(s * USER_RATE_HZ), np.float32) for s in (_LEAD_S, _TRAIL_S))
    sound = np.concatenate([lead, pcm, trail])
    state = ear.new_state()
    pieces, times = [], []
    for start in range(0, len(sound) - USER_TICK_SAMPLES + 1, USER_TICK_SAMPLES):
        began = time.perf_counter()
        token = ear.step(state, sound[start : start + USER_TICK_SAMPLES])
        times.append((time.perf_counter() - began) * 1000)
        pieces.append(token.piece)
    pieces += [token.piece for token in ear.flush(state)]
    return "".join(pieces).strip(), state.spelled.strip(), times


def measure(clips: list[Clip]) -> tuple[dict[str, Figures], list[float]]:
    """Figures per group and the compute time of every tick in ms."""
    ear = load_ear()
    groups: dict[str, Figures] = {}
    ticks: list[float] = []
    for clip in track(clips, "listening", console=Console(stderr=True)):
        figures = groups.setdefault(clip.group, Figures())
        pieces, letters, times = understand(ear, clip.pcm)
        whisper = transcribe(clip.pcm)
        figures.tokens += word_errors(clip.text, pieces)
        figures.letters += word_errors(clip.text, letters)
        figures.whisper += word_errors(clip.text, whisper)
        figures.seconds += len(clip.pcm) / USER_RATE_HZ
        said = {"said": clip.text, "tokens": pieces, "letters": letters, "whisper": whisper}
        figures.rows.append(said)
        ticks += times
    return groups, ticks


def total(groups: list[Figures]) -> Figures:
    """The sum of several groups."""
    summed = Figures()
    for group in groups:
        summed.tokens += group.tokens
        summed.letters += group.letters
        summed.whisper += group.whisper
        summed.seconds += group.seconds
    return summed


def main(
    limit: Annotated[int, typer.Option(help="Use only the first N sentences.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the JSON.")] = None,
    verbose: Annotated[bool, typer.Option(help="Print every clip.")] = False,
) -> None:
    """Print the table: WER of the tokens, of the letters and of offline Whisper, per group."""
    synthetic, human = spoken_clips(limit or None), human_clips()
    groups, ticks = measure(synthetic + human)
    spoken = [f for name, f in groups.items() if not name.startswith("human")]
    recorded = [f for name, f in groups.items() if name.startswith("human")]
    rows = [*groups.items(), ("all synthetic", total(spoken))]
    if recorded:
        rows.append(("all human", total(recorded)))
    table = Table(title=f"Ear: {len(synthetic)} held-out sentences, {len(human)} human clips")
    for column in ("voice", "WER tokens", "WER letters", "Whisper offline", "words", "seconds"):
        table.add_column(column, justify="left" if column == "voice" else "right")
    for name, f in rows:
        table.add_row(
            name, f"{f.tokens.rate:.1%}", f"{f.letters.rate:.1%}", f"{f.whisper.rate:.1%}",
            str(f.tokens.words), f"{f.seconds:.0f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    p50, p95 = np.percentile(ticks, [50, 95])
    console.print(f"compute per {TICK_MS} ms tick on one core: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    if verbose:
        for name, figures in groups.items():
            for said in figures.rows:
                console.print(name, said)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        report = {name: {"wer": f.tokens.rate, "rows": f.rows} for name, f in rows}
        (out / "ear.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    typer.run(main)
