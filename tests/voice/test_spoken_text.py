import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_agent.voice.spoken_numbers import cardinal, ordinal
from duplex_agent.voice.spoken_text import SPEAKABLE, is_foreign, is_left_out, speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("The 3rd of 21", "the third of twenty one"),
        ("3-5 apples, -5 degrees", "three to five apples, minus five degrees"),
        ("1/2 cup or ½ or 2/3", "one half cup or one half or two thirds"),
        ("version 3.1.4, agent 007", "version three point one point four, agent oh oh seven"),
        ("call 555-0199", "call five five five oh one nine nine"),
        ("in the 1990s", "in the nineteen nineties"),
        ("No. 5. No.", "number five. no."),
    ],
)
def test_numbers_are_said_as_words(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("number", "words", "ordinal_words"),
    [
        ("0", "zero", "zeroth"),
        ("12", "twelve", "twelfth"),
        ("40", "forty", "fortieth"),
        ("101", "one hundred one", "one hundred first"),
        ("1000000", "one million", "one millionth"),
        ("20015", "twenty thousand fifteen", "twenty thousand fifteenth"),
        ("300000000000009", "three hundred trillion nine", "three hundred trillion ninth"),
        ("3000000000000000", "three oh oh oh oh oh oh oh oh oh oh oh oh oh oh oh", None),
    ],
)
def test_whole_numbers_have_words_and_ordinals(
    number: str, words: str, ordinal_words: str | None
) -> None:
    assert cardinal(number) == words
    assert ordinal(number) == (ordinal_words or words)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("the 1960s", "the nineteen sixties"),
        ("the 1966s", "the nineteen sixty sixes"),
        ("£0.02, £0.01", "two pennies, one penny"),
        ("3/5 or 2/12", "three fifths or two twelfths"),
        ("¥5", "five yen"),
    ],
)
def test_plurals_are_regular(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs $5.50.", "it costs five dollars fifty."),
        ("$1 or 2% or 99¢", "one dollar or two percent or ninety nine cents"),
        ("$0.75, €20", "seventy five cents, twenty euros"),
        ("£2 million today, $3.2M", "two million pounds today, three point two million dollars"),
        ("1,234 km but 1 km", "one thousand two hundred thirty four kilometers but one kilometer"),
        ("5kg at 20°C", "five kilograms at twenty degrees celsius"),
    ],
)
def test_money_and_units_are_said_in_the_order_of_speech(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Born in 1999, not 1905.", "born in nineteen ninety nine, not nineteen oh five."),
        ("At 10:05 or 7:00", "at ten oh five or seven o'clock"),
        ("10:30pm, 5 pm, 3 a.m.", "ten thirty p m, five p m, three a m"),
        ("On May 5, 2024", "on may fifth, twenty twenty four"),
        ("due 2024-12-01", "due december first twenty twenty four"),
        ("on 7/4/2008", "on july fourth two thousand eight"),
        ("You may 5", "you may five"),
    ],
)
def test_dates_and_times_are_said_as_people_do(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Dr. Lee, St. Anna on Main St.", "doctor lee, saint anna on main street"),
        ("the FBI, CIA and NASA, OK?", "the f b i, c i a and nasa, okay?"),
        ("Sept. 1984, Mon. to Fri.", "september nineteen eighty four, monday to friday"),
        ("I LOVE IT. STOP", "i love it. stop"),
        ("U.S. TVs e.g. this", "u s t v's for example this"),
        ("see https://www.example.com/a-b.", "see example dot com slash a dash b."),
        ("mail bob@mail.com!", "mail bob at mail dot com!"),
        ("#fun 🎉 (really) \"so\" 'it' don't", "hashtag fun really so it don't"),
        ("Really?!... Yes—no", "really? yes, no"),
        ("café β Дом", "cafe beta de o em"),
        ("🎉 ... —", ""),
        ("", ""),
    ],
)
def test_signs_and_short_forms_become_words(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


def test_only_letters_without_a_reading_are_left_out() -> None:
    assert [w for w in ("你好", "🎉", "...", "β", "hi", "million") if is_left_out(w)] == ["你好"]


@given(st.text(max_size=80))
def test_any_text_becomes_words_of_speakable_characters(text: str) -> None:
    spoken = speakable(text)
    assert set(spoken) <= set(SPEAKABLE)
    assert spoken == " ".join(spoken.split())
    assert all(any(c.isalpha() for c in word) for word in spoken.split())


@given(st.text(alphabet="0123456789$€%.,:/-' kmTa#°", max_size=30))
def test_no_digit_survives_and_none_crashes(text: str) -> None:
    assert set(speakable(text)) <= set(SPEAKABLE)
    assert bool(speakable(text)) >= any(c.isdigit() for c in text)


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        (" café", False),
        ("naïve…", False),
        ("20°C, €5", False),
        ("β", True),
        ("飯", True),
        ("\ufffd", True),
    ],
)
def test_letters_without_english_ones_are_told_from_accents_and_signs(
    text: str, foreign: bool
) -> None:
    assert is_foreign(text) is foreign
