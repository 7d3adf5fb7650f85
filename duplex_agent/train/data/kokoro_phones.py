"""espeak-ng's English IPA written in the phone alphabet Kokoro was trained on."""

from typing import Final

_REWRITES: Final = (
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"), ("ə^l", "ᵊl"), ("ɚ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪ^ə", "iə"),
    ("ː", ""), ("ɐ", "ə"), ("r", "ɹ"), ("ʔ", "t"), ("e", "A"), ("^", ""), ("\u0329", ""),
)  # fmt: skip

PHONE_IDS: Final = {
    ";": 1, ":": 2, ",": 3, ".": 4, "!": 5, "?": 6, " ": 16, "A": 24, "I": 25, "O": 31, "W": 39,
    "Y": 41, "ᵊ": 42, "a": 43, "b": 44, "c": 45, "d": 46, "e": 47, "f": 48, "h": 50, "i": 51,
    "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "o": 57, "p": 58, "q": 59, "r": 60, "s": 61,
    "t": 62, "u": 63, "v": 64, "w": 65, "x": 66, "y": 67, "z": 68, "ɑ": 69, "ɐ": 70, "ɒ": 71,
    "æ": 72, "ɔ": 76, "ð": 81, "ʤ": 82, "ə": 83, "ɚ": 85, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102,
    "ŋ": 112, "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131, "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147,
    "ˈ": 156, "ˌ": 157, "ː": 158, "ᵻ": 177,
}  # fmt: skip
"""Kokoro's ids of the phones and marks that English needs."""


def phones(ipa: str, text: str) -> str:
    """Kokoro phones of ``text``, given espeak-ng's ``--ipa=3 --tie=^`` output for it."""
    spoken = ", ".join(line.strip() for line in ipa.strip().splitlines())
    for old, new in _REWRITES:
        spoken = spoken.replace(old, new)
    return spoken + ("?" if text.rstrip().endswith("?") else ".")
