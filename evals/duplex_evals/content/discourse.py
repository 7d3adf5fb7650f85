"""Discourse markers in replies: WavChat counts "okay", "haha" and their like as interaction."""

import re
from typing import Final

MARKERS: Final = (
    "okay", "ok", "well", "oh", "ah", "aha", "hmm", "mhm", "uh-huh", "haha", "yeah", "yep",
    "right", "sure", "i see", "you know", "of course", "alright", "anyway", "actually", "great",
)  # fmt: skip
_WORD = re.compile(r"[a-z'-]+")
_MARKER = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(MARKERS, key=len, reverse=True)))})\b")


def markers(text: str) -> tuple[int, int]:
    """Markers and words in ``text``."""
    plain = text.lower()
    return len(_MARKER.findall(plain)), len(_WORD.findall(plain))
