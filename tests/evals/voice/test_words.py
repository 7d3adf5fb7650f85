import pytest
import torch
from duplex_evals.texts import lines
from duplex_evals.voice.words import heard_faults, reference, script_faults

from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.voice import load_torch_voice
from duplex_agent.voice.voice import Voice, load_voice


@pytest.fixture(scope="module")
def voice() -> Voice:
    return load_voice()


@pytest.mark.parametrize(
    ("text", "heard", "skipped", "repeated"),
    [
        ("We had tea and cake.", "we had tea and cake", [], []),
        ("We had tea and cake.", "we had and cake", ["tea"], []),
        ("We had tea and cake.", "we had tea tea and cake", [], ["tea"]),
        ("We had tea and cake.", "we had tea we had tea and cake", [], ["we", "had", "tea"]),
        ("We had tea and cake.", "we had tea and some cake", [], []),
        ("She sells seashells now.", "she sells sea shells now", [], []),
        ("No no no, I said.", "no no I said", ["no"], []),
        ("We had tea.", "", ["we", "had", "tea"], []),
    ],
)
def test_words_missing_or_doubled_are_told_from_words_misheard(
    text: str, heard: str, skipped: list[str], repeated: list[str]
) -> None:
    faults = heard_faults(text, heard)
    assert (faults.skipped, faults.repeated) == (skipped, repeated)


@pytest.mark.parametrize("heard", ["The FBI was founded in 1908", "the f b i was founded in 1908"])
def test_a_recogniser_may_write_short_forms_either_way(heard: str) -> None:
    text = "The FBI was founded in 1908."
    assert not heard_faults(reference(text, heard), heard).skipped


def test_every_item_of_the_stress_list_is_scripted_exactly_once(voice: Voice) -> None:
    items = lines("stress_list.txt")
    assert len(items) == 60
    assert {text: faults for text in items if (faults := script_faults(voice, text))} == {}


def test_words_without_phones_are_found(voice: Voice) -> None:
    mute = load_torch_voice()
    assert isinstance(mute.phones, Phones)
    with torch.no_grad():
        mute.phones.out.weight.zero_()
        mute.phones.out.bias.zero_()
    assert script_faults(mute, "Two words.") == ["no phone: two", "no phone: words."]
