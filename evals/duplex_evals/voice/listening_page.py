"""A page to look at and listen to: ten sentences, teacher, resynthesis, 16 steps and 1 step.

duplex-evals listening-page [--out FOLDER] [--no-audio] [--steps 16,1]

The audio is inside the page, lossless; the spectrograms are PNG files beside it.
"""

import base64
import io
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import soundfile
import torch
import typer
from rich.progress import track

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.terminal import Console
from duplex_agent.train.recipes.latents import load_encoder
from duplex_agent.train.voice.latent_cache import padded_pcm
from duplex_agent.voice.reference.latents import LatentEncoder
from duplex_agent.voice.voice import Voice, VoiceSettings, load_voice
from duplex_evals.errors import ResultError
from duplex_evals.texts import lines
from duplex_evals.voice.rows import weights_name
from duplex_evals.voice.speaking import Audio, speak, teacher_speech
from duplex_evals.voice.spectrogram import save_spectrogram

SENTENCES: Final = 10
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}"
    "section{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1rem}"
    "figure{margin:0}img{width:100%;height:9rem;border:1px solid #ccc}audio{width:100%}"
    "h2{font-size:1.05rem;margin:2rem 0 .5rem}figcaption{color:#555}"
)


def resynthesis(encoder: LatentEncoder, voice: Voice, pcm: Audio) -> Audio:
    """``pcm`` float32 [n] at 24 kHz through encoder and decoder, at least as long."""
    padded = padded_pcm(np.asarray(pcm * 32767, np.int16))
    with torch.inference_mode():
        tokens = encoder.encode(torch.from_numpy(padded)[None])
        audio, _ = voice.codec(tokens.numpy(), voice.codec.new_state())
    return np.clip(audio[0], -1, 1)


def versions(
    encoder: LatentEncoder, voice: Voice, text: str, seed: int, steps: list[int]
) -> dict[str, Audio]:
    """The same text by name of the version: teacher, resynthesis, and each number of steps."""
    teacher = teacher_speech(text)
    found = {"teacher": teacher, "resynthesis": resynthesis(encoder, voice, teacher)}
    for count in steps:
        settings = VoiceSettings(flow_steps=count, temperature=voice.settings.temperature)
        name = f"{count} step{'s' * (count > 1)}"
        found[name] = speak(voice.with_settings(settings), text, seed).pcm
    return found


def flac_uri(pcm: Audio) -> str:
    """``pcm`` at 24 kHz as a data URI."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, AGENT_RATE_HZ, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def player(name: str, picture: str, text: str, pcm: Audio | None) -> str:
    """HTML of one version: its picture, and a player where there is sound."""
    from markupsafe import escape

    audio = "" if pcm is None else f'<audio controls preload="none" src="{flac_uri(pcm)}"></audio>'
    alt = escape(f"spectrogram, {name}: {text}")
    return (
        f'<figure><img src="{picture}" alt="{alt}" loading="lazy">'
        f"{audio}<figcaption>{escape(name)}</figcaption></figure>"
    )


def page(sections: list[str], weights: str, audio: bool) -> str:
    """The whole HTML page."""
    made = "with its audio" if audio else "without audio; run the command below to hear it"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>The voice of duplex-agent'
        f"</title><style>{_STYLE}</style><h1>The voice of duplex-agent</h1>"
        "<p>Held-out sentences by the teacher voice, by encoder and decoder alone, and by the"
        " whole voice. Mel spectrograms, 0 to 12 kHz, 70 dB from white to black. This copy is"
        f" {made}. duplex-agent {version('duplex-agent')}, weights {weights}.</p>"
        "<p><code>duplex-evals listening-page</code></p>"
        f"{''.join(sections)}</html>\n"
    )


def main(
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("runs/listening"),
    audio: Annotated[bool, typer.Option(help="Put the audio into the page.")] = True,
    steps: Annotated[str, typer.Option(help="Steps of the flow, as 16,1.")] = "16,1",
    count: Annotated[int, typer.Option(min=1, help="Number of sentences.")] = SENTENCES,
    weights: Annotated[Path, typer.Option(help="Weights.")] = WEIGHTS_DIR,
) -> None:
    """Write index.html and its spectrograms."""
    from markupsafe import escape

    torch.set_num_threads(1)
    voice, encoder = load_voice(folder=weights), load_encoder(weights)
    every = lines("mouth_sentences.txt")
    texts = every[:: max(1, len(every) // count)][:count]
    wanted = [int(part) for part in steps.split(",")]
    sections = []
    for index, text in enumerate(track(texts, "speaking", console=Console(stderr=True))):
        players = []
        for name, pcm in versions(encoder, voice, text, index, wanted).items():
            picture = f"{index + 1:02d}-{name.replace(' ', '-')}.png"
            save_spectrogram(pcm, out / picture)
            players.append(player(name, picture, text, pcm if audio else None))
        sections.append(f"<h2>{escape(text)}</h2><section>{''.join(players)}</section>")
    try:
        (out / "index.html").write_text(page(sections, weights_name(weights), audio), "utf-8")
    except OSError as error:
        raise ResultError(f"cannot write {out}: {error.strerror or error}") from error
    kib = sum(file.stat().st_size for file in out.iterdir()) / 1024
    Console().print(f"{out / 'index.html'}: {len(texts)} sentences, {kib:.0f} KiB in the folder")
