"""Written text -> speakable text: lower-case words and the punctuation that shapes a sentence.

Numbers, currency and symbols become words; anything that cannot be spoken in English becomes a
space. The mouth, its training data and the spoken-word bookkeeping all read this form.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import inflect

SPEAKABLE: Final = " abcdefghijklmnopqrstuvwxyz'.,?!;:-"
_SYMBOLS: Final = {"&": " and ", "%": " percent", "+": " plus ", "=": " equals ", "@": " at "}
_CURRENCY: Final = {"$": "dollar", "€": "euro", "£": "pound"}
_MONEY = re.compile(r"([$€£])\s?(\d[\d,]*)(?:\.(\d{2}))?")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_YEAR = re.compile(r"\b(1[1-9]\d\d|20[1-9]\d)\b")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ABBREVIATIONS: Final = {
    "mr.": "mister", "mrs.": "missus", "dr.": "doctor", "st.": "saint", "vs.": "versus",
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "km": "kilometers",
    "kg": "kilograms", "°c": "degrees celsius", "°f": "degrees fahrenheit",
}  # fmt: skip
_ABBREVIATION = re.compile(
    r"(?<![a-z])(" + "|".join(re.escape(a) for a in _ABBREVIATIONS) + r")(?![a-z])", re.IGNORECASE
)
_ACRONYM = re.compile(r"\b[A-Z]{2,5}\b")


@lru_cache(maxsize=1)
def _engine() -> inflect.engine:
    return inflect.engine()


def _spoken(number: str) -> str:
    return str(_engine().number_to_words(number, andword="")).replace("-", " ")


def _words(number: str) -> str:
    digits = number.replace(",", "")
    if len(digits.split(".")[0]) > 15:
        return " ".join(_words(d) for d in digits if d.isdigit())
    return _spoken(digits).replace(",", "").replace("  ", " ")


def _money(match: re.Match[str]) -> str:
    unit = _CURRENCY[match[1]]
    amount = match[2].replace(",", "")
    text = f"{_words(amount)} {unit}{'' if amount == '1' else 's'}"
    if match[3] and match[3] != "00":
        text += f" {_words(str(int(match[3])))}"
    return text


def _year(match: re.Match[str]) -> str:
    head, tail = divmod(int(match[1]), 100)
    if tail == 0:
        return f"{_words(str(head))} hundred"
    return f"{_words(str(head))} {'oh ' if tail < 10 else ''}{_words(str(tail))}"


def _clock(match: re.Match[str]) -> str:
    hour, minute = _words(match[1]), int(match[2])
    if minute == 0:
        return f"{hour} o'clock"
    return f"{hour} {'oh ' if minute < 10 else ''}{_words(str(minute))}"


def _ordinal(match: re.Match[str]) -> str:
    return _spoken(_engine().ordinal(match[1]))


def speakable(text: str) -> str:
    """Return ``text`` as lower-case words and punctuation from ``SPEAKABLE``.

    Text in another script or without letters gives an empty string or bare punctuation.
    """
    text = unicodedata.normalize("NFKC", text)
    text = text.replace("’", "'").replace("‘", "'").replace("—", ", ").replace("–", "-")
    text = text.replace("…", "...").replace("\n", " ")
    text = _ABBREVIATION.sub(lambda m: f" {_ABBREVIATIONS[m[1].lower()]} ", text)
    text = _MONEY.sub(_money, text)
    text = _CLOCK.sub(_clock, text)
    text = _ORDINAL.sub(_ordinal, text)
    text = _YEAR.sub(_year, text)
    text = _NUMBER.sub(lambda m: f" {_words(m[0])} ", text)
    if not text.isupper():
        text = _ACRONYM.sub(lambda m: " ".join(m[0]), text)
    for symbol, words in _SYMBOLS.items():
        text = text.replace(symbol, words)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    plain = "".join(c if c in SPEAKABLE else " " for c in plain)
    plain = re.sub(r"\s+([.,?!;:])", r"\1", re.sub(r"\s+", " ", plain))
    return re.sub(r"([.,?!;:-])[.,?!;:-]+", r"\1", plain).strip()
