import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.runtime import checkpoint, torch_checkpoint
from duplex_agent.voice.phones import PHONE_ID
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.script import Script, TimedPhone
from duplex_agent.voice.spoken_text import speakable

_SEEN_S = 0.24
_PAUSES = {PHONE_ID[" "], PHONE_ID["$"]}
_WORDS = [
    *("Yes,", "the", "FBI", "paid", "$5", "million", "on", "May", "3,", "2024", "for", "St."),
    *("Anna", "🎉", "你好", "no.", "7", "at", "10:30", "pm", "e.g.", "extraordinarily", "is", "is"),
]
_PACES = st.lists(st.integers(0, 3), min_size=1, max_size=12)
_TEXTS = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=8).map(" ".join)


@pytest.fixture(scope="module")
def networks() -> tuple[Phones, Timing]:
    """The shipped ones: only a speller that spells puts spaces between words."""
    phones, timing = Phones(), Timing()
    tensors, _ = torch_checkpoint.load(checkpoint.WEIGHTS_DIR / "phones.safetensors")
    torch_checkpoint.load_module(phones, tensors, "phones.")
    torch_checkpoint.load_module(timing, tensors, "timing.")
    return phones.eval(), timing.eval()


def _run(script: Script) -> tuple[list[TimedPhone], list[int]]:
    """Walk the script to its end without resting: its phones, and characters voiced by tick."""
    spoken = []
    while script.ready(_SEEN_S) and not script.over:
        script.advance()
        spoken.append(script.spoken())
    return script.timeline(), spoken


def _at_once(networks: tuple[Phones, Timing], text: str) -> tuple[list[TimedPhone], list[int]]:
    script = Script(*networks)
    script.write(text, None)
    script.finish()
    return _run(script)


@settings(deadline=None, max_examples=20)
@given(text=_TEXTS, data=st.data())
def test_text_in_any_pieces_gives_the_script_of_the_whole_text(
    networks: tuple[Phones, Timing], text: str, data: st.DataObject
) -> None:
    script = Script(*networks)
    while text[script._written :]:
        left = text[script._written :]
        script.write(left[: data.draw(st.integers(1, len(left)))], None)
        if data.draw(st.booleans()):
            script.ready(_SEEN_S)
    script.finish()
    assert _run(script) == _at_once(networks, text)
    assert " ".join(script.words) == speakable(text)


@settings(deadline=None, max_examples=20)
@given(text=_TEXTS, paces=_PACES)
def test_waiting_for_text_rests_between_words_and_keeps_every_phone(
    networks: tuple[Phones, Timing], text: str, paces: list[int]
) -> None:
    """Characters trickle in, zero to three a tick, while the voice is already speaking."""
    script = Script(*networks)
    begun = False
    pace = itertools.cycle([*paces, 1])
    while not script.over:
        script.write(text[script._written :][: next(pace)], None)
        if not text[script._written :]:
            script.finish()
        begun = begun or script.ready(_SEEN_S)
        if begun:
            script.rest_if_behind(_SEEN_S)
            script.advance()
    whole, _ = _at_once(networks, text)
    waited = script.timeline()
    wanted = iter(whole)
    want = next(wanted, None)
    for index, heard in enumerate(waited):
        seconds = heard.end_s - heard.start_s
        if want and (heard.phone, heard.word) == (want.phone, want.word):
            if heard.phone not in _PAUSES:
                assert seconds == pytest.approx(want.end_s - want.start_s)
            want = next(wanted, None)
        else:  # an inserted rest: the word before it is complete
            assert heard.phone == PHONE_ID["$"]
            assert want is None or want.word > waited[index - 1].word
    assert want is None


@settings(deadline=None, max_examples=15)
@given(text=_TEXTS, speed=st.sampled_from([0.8, 1.0, 1.25]))
def test_the_mouth_is_told_every_phone_for_exactly_its_time(
    networks: tuple[Phones, Timing], text: str, speed: float
) -> None:
    script = Script(*networks, speed=speed)
    script.write(text, None)
    script.finish()
    told = np.zeros(len(PHONE_ID))
    while script.ready(_SEEN_S) and not script.over:
        told += script.occupancy(4).sum(axis=0) * 0.02
        script.advance()
    due = np.zeros(len(PHONE_ID))
    for phone in script.timeline():
        due[phone.phone] += phone.end_s - phone.start_s
    due[PHONE_ID["$"]] += script.position_s - script.known_s  # the rest of the last tick
    assert told == pytest.approx(due, abs=1e-4)


def test_reading_ahead_stops_at_what_the_clock_needs(networks: tuple[Phones, Timing]) -> None:
    script = Script(*networks)
    script.write("one more word and " * 500, None)
    assert script.ready(_SEEN_S)
    assert len(script.words) < 40


def test_the_thinker_state_is_that_of_the_word_being_said(networks: tuple[Phones, Timing]) -> None:
    script = Script(*networks)
    script.write("internationalisation ", np.full(4, 1.0, np.float32))
    script.write("extraordinarily", np.full(4, 2.0, np.float32))
    script.finish()
    states = []
    while script.ready(_SEEN_S) and not script.over:
        states.append(float(script.thinker_state(4)[0]))
        script.advance()
    assert states == sorted(states)
    assert set(states) == {1.0, 2.0}


def test_every_word_of_a_sentence_is_spelled(networks: tuple[Phones, Timing]) -> None:
    text = "No, I said that that cat of mine is the best cat of all cats, you and I know it."
    phones, _ = _at_once(networks, text)
    spelled = {word for p in phones for word in (p.word, p.letters)}
    assert spelled == set(range(len(text.split())))
