"""Written text -> speakable text: lower-case words and the punctuation that shapes a sentence.

Every written word is read with its two neighbours and nothing else, so that text which is still
being written can be spoken: ``speakable`` of a whole text is what a reader of single words gives.
Figures, abbreviations, acronyms, addresses and symbols become words. Letters of other scripts are
spelled by their names (``β`` is "beta"); emoji are passed over; what has no reading in English
letters is left out, and ``is_left_out`` says so.
"""

import re
import unicodedata
from typing import Final

from duplex_agent.voice.spoken_numbers import (
    MONTHS,
    SCALES,
    UNITS,
    digits_inside,
    month,
    spoken_number,
    unit_words,
)  # fmt: skip

SPEAKABLE: Final = " abcdefghijklmnopqrstuvwxyz'.,?!;:-"
_SYMBOLS: Final = {
    "&": "and",
    "%": "percent",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "°": "degrees",
}
_ABBREVIATIONS: Final = {
    "mr.": "mister", "mrs.": "missus", "ms.": "miss", "dr.": "doctor", "prof.": "professor",
    "jr.": "junior", "sr.": "senior", "mt.": "mount", "vs.": "versus", "vs": "versus",
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "approx.": "approximately",
    "dept.": "department", "est.": "established", "fig.": "figure", "vol.": "volume",
    "ave.": "avenue", "blvd.": "boulevard", "rd.": "road", "apt.": "apartment",
    "inc.": "incorporated", "ltd.": "limited", "co.": "company", "corp.": "corporation",
    "gov.": "governor", "gen.": "general", "sgt.": "sergeant", "capt.": "captain",
    "rev.": "reverend", "w/": "with", "w/o": "without", "a.m.": "a m", "p.m.": "p m",
    "ph.d.": "p h d", "ok": "okay", "mon.": "monday", "tue.": "tuesday", "wed.": "wednesday",
    "thu.": "thursday", "fri.": "friday",
}  # fmt: skip
_NAMED_ACRONYMS: Final = {
    "NASA", "NATO", "UNICEF", "AIDS", "LASER", "PIN", "RAM", "ROM", "SIM", "VAT", "FIFA", "OPEC",
}  # fmt: skip
# Capitals that are far more often a shouted word than an acronym.
_SHOUTED: Final = {
    "A", "I", "AM", "AN", "AND", "ANY", "ARE", "AS", "ASK", "AT", "BAD", "BE", "BIG", "BUT", "BUY",
    "BY", "CAN", "DAY", "DID", "DO", "END", "FAR", "FEW", "FOR", "FUN", "GET", "GO", "GOD", "GOT",
    "HAD", "HAS", "HE", "HER", "HEY", "HI", "HIM", "HIS", "HOT", "HOW", "IF", "IN", "IS", "IT",
    "LET", "LOT", "MAN", "MAY", "ME", "MEN", "MY", "NEW", "NO", "NOT", "NOW", "OF", "OFF", "OH",
    "OLD", "ON", "ONE", "OR", "OUR", "OUT", "OWN", "RUN", "SAD", "SAY", "SEE", "SHE", "SIT", "SO",
    "TEN", "THE", "TO", "TOO", "TOP", "TRY", "TWO", "UP", "USE", "WAS", "WAY", "WE", "WHO", "WHY",
    "WIN", "WON", "WOW", "YES", "YET", "YOU",
}  # fmt: skip
_CAPITALS = re.compile(r"([A-Z]{2,5})(s|'s)?")
_DOTTED = re.compile(r"(?:[A-Za-z]\.){2,}[A-Za-z]?")
_URL = re.compile(
    r"(?:https?://|www\.)\S+|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|io|gov)(?:/\S*)?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_OPENING: Final = "([{<\"'“„«*_~`¿¡"
_CLOSING: Final = ")]}>\"'”»*_~`.,?!;:"
_GLYPHS: Final = {"’": "'", "‘": "'", "–": "-", "−": "-", "…": "...", "⁄": "/"}
_ADDRESS_SIGNS: Final = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "+": "plus", "%": "percent", ":": "colon",
}  # fmt: skip
_LETTER_NAME = re.compile(r".*?(?:LETTER|SYLLABLE)(?: FINAL| SMALL| CAPITAL)* (.+?)(?: WITH .*)?")


def _tidy(text: str) -> str:
    """NFKC without the marks that only choose a glyph, and with plain quotation marks."""
    text = text.replace("²", " squared").replace("³", " cubed")
    text = "".join(map(_without_accents, unicodedata.normalize("NFKC", text)))
    for written, plain in _GLYPHS.items():
        text = text.replace(written, plain)
    return text


def _without_accents(character: str) -> str:
    """The ASCII letters under the accents of ``character``; itself where there are none."""
    if character.isascii():
        return character
    base = unicodedata.normalize("NFKD", character)
    base = "".join(c for c in base if not unicodedata.combining(c))
    return base if base.isascii() else character


def _is_url(core: str) -> bool:
    return bool(_URL.fullmatch(core) or _MAIL.fullmatch(core))


def _address(core: str) -> str:
    core = re.sub(r"^(?:https?://)?(?:www\.)?", "", core, flags=re.IGNORECASE).rstrip("/")
    said = "".join(f" {_ADDRESS_SIGNS[c]} " if c in _ADDRESS_SIGNS else c for c in core)
    return digits_inside(said)


def _capitals(core: str) -> str | None:
    match = _CAPITALS.fullmatch(core)
    if match is None:
        return None
    letters, ending = match[1], match[2] or ""
    voiceless = not set(letters) & set("AEIOUY")
    read = letters in _NAMED_ACRONYMS or letters in _SHOUTED or len(letters) > 3
    if read and not voiceless:
        return None
    return " ".join(letters.lower()) + ("'s" if ending else "")


def _letters(text: str) -> str:
    """``text`` in the alphabet of ``SPEAKABLE``; "" when no letter is left."""
    plain = "".join(map(_letter, text.lower()))
    plain = re.sub(r"(?<![a-z])'|'(?![a-z])", "", plain)
    plain = re.sub(r"\s+([.,?!;:])", r"\1", re.sub(r"\s+", " ", plain))
    plain = re.sub(r"([.,?!;:-])[.,?!;:-]+", r"\1", plain).strip()
    words = (word.lstrip(".,?!;:-") for word in plain.split())
    return " ".join(word for word in words if any(c.isalpha() for c in word))


def _letter(character: str) -> str:
    """``character``, a letter of another script by its name, or a space."""
    if character in SPEAKABLE:
        return character
    if unicodedata.category(character) in ("Mn", "Cf"):
        return ""
    name = _LETTER_NAME.fullmatch(unicodedata.name(character, "")) if character.isalpha() else None
    return f" {re.sub('[^a-z]+', ' ', name[1].lower())} " if name else " "


def _core_words(core: str, before: str, after: str) -> str:
    lower = core.lower()
    if _is_url(core):
        return _address(core)
    if lower in UNITS and re.search(r"\d$", before):
        return unit_words(lower, one=bool(re.fullmatch(r"[^\d]*1", before)))
    if any(c.isdigit() for c in core):
        return spoken_number(core, before, after) or digits_inside(core)
    if month(core) and (after[:1].isdigit() or before[-1:].isdigit()):
        return month(core) or core
    capitals = _capitals(core)
    return core if capitals is None else capitals


def _abbreviation(word: str, after: str) -> str | None:
    lower = word.lower()
    if lower == "st.":
        # "St. Anna" is a saint, "Main St." a street.
        return "saint" if after[:1].isupper() else "street"
    if lower == "no." and after[:1].isdigit():
        return "number"
    return _ABBREVIATIONS.get(lower)


def spoken_word(word: str, before: str = "", after: str = "") -> str:
    """How the written ``word`` is said between its neighbours; "" when it is not said at all."""
    word, before, after = _tidy(word), _tidy(before), _tidy(after)
    return _letters(" ".join(_said(part, before, after) for part in _parts(word)))


def _parts(word: str) -> list[str]:
    """A dash joins two words that are said one after the other, with a short pause between."""
    pieces = word.replace("—", ", — ").split(" — ")
    return [p for p in pieces if p]


def _said(word: str, before: str, after: str) -> str:
    opening = len(word) - len(word.lstrip(_OPENING))
    rest = word[opening:]
    for ending in ("", *",;:!?)\"'"):
        if ending and not rest.endswith(ending):
            continue
        said = _abbreviation(rest.removesuffix(ending), after)
        if said is not None:
            return f"{said}{ending}"
    if _DOTTED.fullmatch(rest):
        return " ".join(c for c in rest if c != ".")
    core = rest.rstrip(_CLOSING)
    closing = "".join(c for c in rest[len(core) :] if c in ".,?!;:")
    if core.startswith("#") and not core[1:].isdigit():
        core = f"hashtag {core[1:]}"
    said = _core_words(core, before, after)
    if said in MONTHS and said != core.lower():
        closing = closing.removeprefix(".")
    if month(core) is None and _scaled(core, before):
        said = ""
    for symbol, words in _SYMBOLS.items():
        said = said.replace(symbol, f" {words} ")
    return f"{said}{closing}"


def _scaled(core: str, before: str) -> bool:
    """Whether ``core`` is the scale of an amount of money, which has been said with it."""
    return core.lower() in SCALES.values() and bool(re.fullmatch(r"[$€£¥₹]\d[\d,.]*", before))


def needs_next(word: str) -> bool:
    """Whether how ``word`` is said depends on the word after it."""
    word = _tidy(word)
    core = word.strip(_OPENING + _CLOSING)
    return bool(core[:1] in "$€£¥₹" or month(core) or word.lower().strip("('\"") in ("st.", "no."))


def is_foreign(text: str) -> bool:
    """Whether ``text`` holds letters that English has none for, or bytes that are no character."""
    if text.isascii():
        return False
    return "\ufffd" in text or any(c.isalpha() and not c.isascii() for c in _tidy(text))


def is_left_out(word: str) -> bool:
    """Whether ``word`` holds letters or digits of which nothing can be said."""
    return any(c.isalnum() for c in word) and not spoken_word(word)


def speakable(text: str) -> str:
    """Return ``text`` as lower-case words and punctuation from ``SPEAKABLE``.

    Text without anything that can be said gives an empty string.
    """
    words = text.split()
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    spoken = [spoken_word(word, before, after) for before, word, after in around]
    return " ".join(s for s in spoken if s)
