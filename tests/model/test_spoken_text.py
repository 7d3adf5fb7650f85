import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_agent.model.spoken_text import SPEAKABLE, speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs $5.50.", "it costs five dollars fifty."),
        ("$1 or 2%", "one dollar or two percent"),
        ("Born in 1999, not 1905.", "born in nineteen ninety nine, not nineteen oh five."),
        ("At 10:05 or 7:00", "at ten oh five or seven o'clock"),
        ("The 3rd of 21", "the third of twenty one"),
        ("1,234 km", "one thousand two hundred thirty four kilometers"),
        ("NASA said: café!", "n a s a said: cafe!"),
        ("Really?!... Yes—no", "really? yes, no"),
        ("🎉 你好", ""),
        ("", ""),
    ],
)
def test_text_is_spoken_as_a_person_would(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@given(st.text(max_size=80))
def test_any_text_becomes_speakable_characters_and_stays_so(text: str) -> None:
    spoken = speakable(text)
    assert set(spoken) <= set(SPEAKABLE)
    assert speakable(spoken) == spoken
