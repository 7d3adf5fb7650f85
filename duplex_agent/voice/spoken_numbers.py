"""Numbers as words: amounts, money, dates, times of day, years, ranges, phone numbers."""

import re
from collections.abc import Callable
from typing import Final

_ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_POWERS: Final = ("trillion", "billion", "million", "thousand", "")
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH_SHORT: Final = {m[:3]: m for m in MONTHS} | {"sept": "september"}
CURRENCIES: Final = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"),
    "¥": ("yen", ""), "₹": ("rupee", ""),
}  # fmt: skip
SCALES: Final = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion", "t": "trillion"}
UNITS: Final = {
    "%": "percent", "¢": "cents", "°": "degrees", "°c": "degrees celsius",
    "°f": "degrees fahrenheit",
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms",
    "g": "grams", "mg": "milligrams", "l": "liters", "ml": "milliliters", "mi": "miles",
    "ft": "feet", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "mph": "miles per hour",
    "km/h": "kilometers per hour", "kmh": "kilometers per hour", "h": "hours", "hrs": "hours",
    "hr": "hours", "min": "minutes", "mins": "minutes", "sec": "seconds", "s": "seconds",
    "ms": "milliseconds", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz",
    "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes",
    "tb": "terabytes", "kw": "kilowatts", "am": "a m", "pm": "p m", "x": "times",
}  # fmt: skip
_FRACTIONS: Final = {"1/2": "one half", "1/4": "one quarter", "3/4": "three quarters"}
_LONGEST: Final = 15  # digits; a longer number is read out digit by digit


def _below_thousand(number: int) -> list[str]:
    hundreds, rest = divmod(number, 100)
    words = [_ONES[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10])
        rest %= 10
    return [*words, _ONES[rest]] if rest else words


def _whole_words(number: int) -> str:
    """Words of a number of at most fifteen digits."""
    words: list[str] = []
    for place, power in enumerate(_POWERS):
        group = number // 1000 ** (len(_POWERS) - 1 - place) % 1000
        if group:
            words += [*_below_thousand(group), power]
    return " ".join(words).strip() or _ONES[0]


def _plural(noun: str) -> str:
    """The regular plural."""
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"


def cardinal(number: str) -> str:
    """Words of ``number``: digits with optional thousands commas and decimals."""
    digits = number.replace(",", "")
    whole, _, decimals = digits.partition(".")
    if len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0"):
        words = read_out(whole)
    else:
        words = _whole_words(int(whole or "0"))
    return f"{words} point {read_out(decimals)}" if decimals else words


def ordinal(number: str) -> str:
    """``"21"`` -> "twenty first"; numbers of more than fifteen digits are read out."""
    if len(number) > _LONGEST:
        return read_out(number)
    *head, last = cardinal(str(int(number))).split()
    ending = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*head, _ORDINALS.get(last, ending)])


def read_out(digits: str) -> str:
    """Digit by digit, "oh" for none."""
    names = ("oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return " ".join(names[int(d)] for d in digits)


def year(number: str) -> str:
    """A year of four digits as people say it."""
    head, tail = divmod(int(number), 100)
    if tail == 0:
        return cardinal(number) if head % 10 == 0 else f"{cardinal(str(head))} hundred"
    if head % 10 == 0 and tail < 10:
        return cardinal(number)
    return f"{cardinal(str(head))} {'oh ' if tail < 10 else ''}{cardinal(str(tail))}"


def month(word: str) -> str | None:
    """The month that a capitalised ``word`` names, in full or by three letters."""
    plain = word.rstrip(".,").lower()
    if not word[:1].isupper():
        return None
    return plain if plain in MONTHS else _MONTH_SHORT.get(plain)


def _money(match: re.Match[str], scale: str) -> str:
    unit, small = CURRENCIES[match[1]]
    whole, decimals = match[2], match[3] or ""
    scale = SCALES.get((match[4] or "").lower(), scale)
    if scale:
        return f"{cardinal(whole + (f'.{decimals}' if decimals else ''))} {scale} {_many(unit)}"
    if whole.replace(",", "").strip("0") == "" and small and decimals.strip("0"):
        cents = str(int(decimals))
        return f"{cardinal(cents)} {small if cents == '1' else _many(small)}"
    if decimals and len(decimals) != 2:
        return f"{cardinal(f'{whole}.{decimals}')} {_many(unit)}"
    text = f"{cardinal(whole)} {unit if whole == '1' else _many(unit)}"
    return f"{text} {cardinal(str(int(decimals)))}" if decimals.strip("0") else text


def _many(unit: str) -> str:
    return unit if unit == "yen" else _plural(unit)


def _clock(match: re.Match[str]) -> str:
    hour, minute = cardinal(str(int(match[1]))), match[2]
    half = " ".join((match[3] or "").lower().replace(".", ""))
    if minute == "00":
        said = hour if half else f"{hour} o'clock"
    else:
        said = f"{hour} {'oh ' if minute[0] == '0' else ''}{cardinal(str(int(minute)))}"
    return f"{said} {half}".strip()


def _date(year_digits: str, month_digits: str, day: str) -> str | None:
    if not (1 <= int(month_digits) <= 12 and 1 <= int(day) <= 31):
        return None
    if len(year_digits) == 2:
        year_digits = f"20{year_digits}"
    return f"{MONTHS[int(month_digits) - 1]} {ordinal(day)} {year(year_digits)}"


def _decade(match: re.Match[str]) -> str:
    *head, last = year(match[1]).split() if len(match[1]) == 4 else [cardinal(match[1])]
    return " ".join([*head, _plural(last)])


def _fraction(match: re.Match[str]) -> str:
    above, below = match[1], match[2]
    known = _FRACTIONS.get(match[0])
    if known:
        return known
    if 2 < int(below) <= 20 and int(above) < int(below):
        part = ordinal(below)
        return f"{cardinal(above)} {part if above == '1' else _many(part)}"
    return f"{cardinal(above)} {cardinal(below)}"


def unit_words(unit: str, one: bool) -> str:
    """The name of a unit in ``UNITS``, in the singular after ``one``."""
    head, *rest = UNITS[unit].split()
    if one and unit not in ("x", "hz", "khz", "mhz", "ghz"):
        head = "foot" if head == "feet" else head.removesuffix("s")
    return " ".join([head, *rest])


def _quantity(match: re.Match[str]) -> str | None:
    unit = match[2].lower()
    if unit not in UNITS:
        return None
    return f"{cardinal(match[1])} {unit_words(unit, one=match[1] == '1')}"


_NUMBER: Final = r"\d[\d,]*(?:\.\d+)?"
_MONEY = re.compile(r"([$€£¥₹])(\d[\d,]*)(?:\.(\d+))?(k|m|bn|b|t)?", re.IGNORECASE)
_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]], ...]] = (
    (re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"), lambda m: _date(m[1], m[2], m[3])),
    (re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})"), lambda m: _date(m[3], m[1], m[2])),
    (re.compile(r"(\d{1,2}):(\d{2})([ap]\.?m\.?)?", re.IGNORECASE), _clock),
    (re.compile(r"(\d+)(?:st|nd|rd|th)", re.IGNORECASE), lambda m: ordinal(m[1])),
    (re.compile(r"'?(\d{4}|\d0)'?s"), _decade),
    (re.compile(r"(\d{1,4})/(\d{1,4})"), _fraction),
    (re.compile(r"\d{3}-\d{4}"), lambda m: read_out(m[0].replace("-", ""))),
    (re.compile(r"\+?[\d(][\d()]*(?:-[\d()]+){2,}"), lambda m: read_out(re.sub(r"\D", "", m[0]))),
    (
        re.compile(rf"({_NUMBER})-({_NUMBER})"),
        lambda m: f"{number_words(m[1])} to {number_words(m[2])}",
    ),
    (re.compile(r"\d+(?:\.\d+){2,}"), lambda m: " point ".join(map(cardinal, m[0].split(".")))),
    (re.compile(rf"-({_NUMBER})"), lambda m: f"minus {cardinal(m[1])}"),
    (re.compile(r"#(\d+)"), lambda m: f"number {cardinal(m[1])}"),
    (re.compile(rf"({_NUMBER})([a-z°%¢][a-z/]*)", re.IGNORECASE), _quantity),
    (re.compile(_NUMBER), lambda m: number_words(m[0])),
)


def number_words(number: str) -> str:
    """A bare number: four digits that may be a year are said like one."""
    if re.fullmatch(r"1[1-9]\d\d|20\d\d", number):
        return year(number)
    return cardinal(number)


def spoken_number(core: str, before: str, after: str) -> str | None:
    """Words of ``core``, a written word with digits and without outer punctuation.

    ``before`` and ``after`` are the written words around it ("" where there is none). None when
    the whole of it is no number; ``digits_inside`` then reads what digits it holds.
    """
    money = _MONEY.fullmatch(core)
    if money:
        following = after.rstrip(".,;:!?").lower()
        return _money(money, following if following in SCALES.values() else "")
    if re.fullmatch(r"\d{1,2}", core) and month(before) and 1 <= int(core) <= 31:
        return ordinal(core)
    for pattern, say in _RULES:
        match = pattern.fullmatch(core)
        said = say(match) if match else None
        if said is not None:
            return said
    return None


def digits_inside(text: str) -> str:
    """``text`` with every run of digits in it as words."""
    return re.sub(_NUMBER, lambda m: f" {cardinal(m[0])} ", text)
