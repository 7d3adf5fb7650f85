"""Sounds without a word of English, and English as hard to hear: input that must do no harm."""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from duplex_agent.audio.files import read_audio
from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.audio.filters import mu_law, telephone_band
from duplex_evals.audio.music import festive
from duplex_evals.audio.noises import make_noise
from duplex_evals.errors import ClipError

Audio = NDArray[np.float32]

SECONDS: Final = 30
MUSIC: Final = Path("/usr/share/asterisk/moh")
SPANISH: Final = Path("/usr/share/asterisk/sounds/es_MX_f_Allison")
_PACKAGES: Final = {MUSIC: "asterisk-moh-opsound-wav", SPANISH: "asterisk-core-sounds-es-wav"}
_SPANISH_PROMPTS: Final = ("demo-congrats", "demo-instruct")
OFFSET: Final = 0.2
_SAMPLES: Final = SECONDS * USER_RATE_HZ
# espeak-ng's voice and what it says
_FOREIGN: Final = {
    "German": ("de", "Guten Morgen, wie geht es Ihnen heute? Ich möchte gern ein Brot und zwei"
               " Brötchen kaufen. Gestern hat es den ganzen Tag geregnet, und die Kinder mussten"
               " im Haus bleiben. Am Abend haben wir zusammen gekocht und Karten gespielt."),
    "Spanish": ("es", "Buenos días, ¿cómo está usted hoy? Quisiera comprar una barra de pan y dos"
                " manzanas. Ayer llovió todo el día y los niños tuvieron que quedarse en casa. Por"
                " la noche cocinamos juntos y jugamos a las cartas."),
    "French": ("fr-fr", "Bonjour, comment allez-vous aujourd'hui? Je voudrais acheter du pain et"
               " deux pommes. Hier il a plu toute la journée et les enfants ont dû rester à la"
               " maison. Le soir nous avons cuisiné ensemble et joué aux cartes."),
    "Polish": ("pl", "Dzień dobry, jak się pan dzisiaj czuje? Chciałbym kupić chleb i dwie bułki."
               " Wczoraj cały dzień padał deszcz i dzieci musiały zostać w domu. Wieczorem razem"
               " gotowaliśmy i graliśmy w karty."),
}  # fmt: skip


@dataclass(frozen=True)
class QuietAudio:
    """``make`` gives float32 [n] at 16 kHz in -1..1; it raises ClipError where it cannot be had."""

    group: str
    name: str
    make: Callable[[], Audio]


def without_english() -> list[QuietAudio]:
    """Everything in which no word of English is said, each ``SECONDS`` long."""
    return [
        QuietAudio("silence", "digital silence", partial(_constant, 0.0)),
        QuietAudio("silence", "DC offset of 0.2", partial(_constant, OFFSET)),
        QuietAudio("silence", "a quiet room, -60 dBFS", partial(_noise, "pink", -60)),
        QuietAudio("noise", "white noise, -30 dBFS", partial(_noise, "white", -30)),
        QuietAudio("noise", "pink noise, -20 dBFS", partial(_noise, "pink", -20)),
        QuietAudio("noise", "mains hum, -25 dBFS", partial(_noise, "hum", -25)),
        QuietAudio("noise", "typing, -30 dBFS", partial(_noise, "keys", -30)),
        QuietAudio("noise", "telephone hiss, 8 kHz, -35 dBFS", _hiss),
        *(QuietAudio("people", f"{n}s, one in 3 s", partial(_repeated, n))
          for n in ("cough", "breath")),
        *(QuietAudio("music", f"festive tune {n}", partial(_tune, n)) for n in (1, 2)),
        *(QuietAudio("music", f"recording: {name}", partial(_recording, MUSIC / f"{name}.wav"))
          for name in ("macroform-robot_dity", "macroform-the_simplicity",
                       "manolo_camp-morning_coffee", "reno_project-system")),
        *(QuietAudio("another language", f"{name}, synthetic", partial(_foreign, *said))
          for name, said in _FOREIGN.items()),
        *(QuietAudio("another language", f"Spanish, a woman: {name}",
                     partial(_recording, SPANISH / f"{name}.wav")) for name in _SPANISH_PROMPTS),
    ]  # fmt: skip


def shouted(speech: Audio) -> Audio:
    """30 dB more than fits: most samples of a vowel are clipped."""
    return np.asarray(np.clip(speech * np.float32(10 ** (30 / 20)), -1, 1), np.float32)


def telephoned(speech: Audio) -> Audio:
    """An old line: 8 kHz, 300-3400 Hz, mu-law, hiss 25 dB below the speech."""
    hiss = make_noise("white", len(speech), np.random.default_rng(1))
    noisy = speech + hiss * np.float32(0.5 * 10 ** (-25 / 20))
    narrow = np.asarray(signal.sosfilt(telephone_band(), noisy), np.float32)
    down = mu_law(np.asarray(soxr.resample(narrow, USER_RATE_HZ, 8_000), np.float32))
    back = np.asarray(soxr.resample(down, 8_000, USER_RATE_HZ), np.float32)
    return np.clip(np.pad(back, (0, max(0, len(speech) - len(back))))[: len(speech)], -1, 1)


def offset(speech: Audio) -> Audio:
    """A broken sound card: 0.2 added to every sample."""
    return np.clip(speech + np.float32(OFFSET), -1, 1)


STRAINS: Final[dict[str, Callable[[Audio], Audio]]] = {
    "as it is": lambda speech: speech,
    "shouted: 30 dB too loud, clipped": shouted,
    "telephone: 8 kHz, mu-law, hiss at 25 dB": telephoned,
    "DC offset of 0.2": offset,
}


def _constant(value: float) -> Audio:
    return np.full(_SAMPLES, value, np.float32)


def _noise(name: str, dbfs: float) -> Audio:
    audio = make_noise(name, _SAMPLES, np.random.default_rng(0))
    return np.asarray(np.clip(audio * 10 ** ((dbfs + 20) / 20), -1, 1), np.float32)


def _hiss() -> Audio:
    return telephoned(_noise("white", -35))


def _repeated(name: str) -> Audio:
    rng = np.random.default_rng(0)
    audio = np.zeros(_SAMPLES, np.float32)
    for start in range(USER_RATE_HZ, _SAMPLES - USER_RATE_HZ, 3 * USER_RATE_HZ):
        length = round(rng.uniform(0.4, 0.8) * USER_RATE_HZ)
        audio[start : start + length] = np.clip(make_noise(name, length, rng), -1, 1)
    return audio


def _tune(seed: int) -> Audio:
    return festive(_SAMPLES, np.random.default_rng(seed)) * np.float32(0.5)


def _recording(file: Path) -> Audio:
    if not file.is_file():
        raise ClipError(f"no {file}; install it: apt-get install {_PACKAGES[file.parent]}")
    return np.asarray(read_audio(file, USER_RATE_HZ)[:_SAMPLES], np.float32)


def _foreign(voice: str, text: str) -> Audio:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(out), text]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ClipError(f"espeak-ng -v {voice} cannot speak: {error}") from error
        speech = np.asarray(read_audio(out, USER_RATE_HZ), np.float32)
    return np.clip(np.pad(speech, (0, max(0, _SAMPLES - len(speech))))[:_SAMPLES], -1, 1)
