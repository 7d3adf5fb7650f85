"""A draft on a scripted text and a scripted voice: what it asks of them, and what was heard."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.draft import Draft
from duplex_agent.duplex.requests import Render
from duplex_agent.errors import LlmError
from duplex_agent.llm.protocol import Heard, Written

CONFIG = SessionConfig(first_tokens_per_tick=3, tokens_per_tick=1)
BEGUN_MS = 400


class Script:
    """An LLM with its record and the one reply that it writes, a piece at a time.

    Its tokens are characters. ``asked`` notes everything that is asked of it.
    """

    def __init__(self, *pieces: str | LlmError) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.record = self
        self.text = ""
        self.done = False
        self._pieces = list(pieces)

    def begin_reply(self) -> "Script":
        return self

    def write(self, budget: int, waited_ms: int) -> Generator[Any, Any, list[Written]]:
        yield from ()
        self.asked.append(("write", budget, waited_ms))
        piece = self._pieces.pop(0)
        if isinstance(piece, LlmError):
            raise piece
        self.text += piece
        self.done = not self._pieces
        return [Written(piece, np.full((1, 2), len(piece), np.float32))]

    def heard(self, chars: int) -> Heard:
        return Heard(chars, self.text[:chars])

    def cancel(self) -> None:
        self.asked.append(("cancel",))

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        self.asked.append(("end_reply", heard_tokens, heard_text))

    def roll_back(self) -> None:
        self.asked.append(("roll_back",))


@dataclass(frozen=True)
class SpokenTick:
    pcm: NDArray[np.float32]
    chars_spoken: int
    done: bool


class Voice:
    """Each of its ticks is a level, the characters voiced by then, and whether it is the last.

    A tick sounds in its second half.
    """

    def __init__(self, *ticks: tuple[float, int, bool]) -> None:
        self.told: list[Any] = []
        self.left_out: list[str] = []
        self._ticks = list(ticks)

    def write(self, text: str, hidden: NDArray[np.float32] | None = None) -> None:
        self.told.append((text, None if hidden is None else int(hidden[0, 0])))

    def finish(self) -> None:
        self.told.append("finish")

    def stop(self) -> None:
        self.told.append("stop")

    def tick(self) -> SpokenTick:
        level, chars, done = self._ticks.pop(0)
        pcm = np.zeros(AGENT_TICK_SAMPLES, np.float32)
        pcm[AGENT_TICK_SAMPLES // 2 :] = level
        return SpokenTick(pcm, chars, done)


def draft(llm: Script, voice: Voice) -> Draft:
    return Draft(llm, voice, CONFIG, BEGUN_MS)  # type: ignore[arg-type]


def run(steps: Generator[Any, Any, Any]) -> Any:
    """Execute the requests of a draft."""
    try:
        request = next(steps)
        while True:
            assert isinstance(request, Render)
            request = steps.send(request.stream.tick())
    except StopIteration as done:
        return done.value


def test_text_goes_to_the_voice_as_it_is_written_until_it_ends() -> None:
    llm, voice = Script("You", " said."), Voice()
    reply = draft(llm, voice)
    run(reply.think(BEGUN_MS))
    assert (reply.text, voice.told) == ("You", [("You", 3)])
    run(reply.think(BEGUN_MS + 80))
    run(reply.think(BEGUN_MS + 160))
    assert llm.asked == [("write", 3, 0), ("write", 3, 80)]
    assert voice.told == [("You", 3), (" said.", 6), "finish"]
    assert (reply.text, reply.problem) == ("You said.", "")


def test_less_is_written_in_a_tick_once_the_voice_has_begun() -> None:
    llm, voice = Script("You", " said", "."), Voice((0.0, 0, False), (0.5, 3, False))
    reply = draft(llm, voice)
    for tick in range(2):
        run(reply.think(BEGUN_MS))
        run(reply.speak(tick))
    run(reply.think(BEGUN_MS))
    assert [asked[1] for asked in llm.asked] == [3, 3, 1]


def test_text_that_breaks_off_is_spoken_as_far_as_it_came() -> None:
    llm, voice = Script("You said", LlmError("the connection was lost"), " more."), Voice()
    reply = draft(llm, voice)
    for _ in range(3):
        run(reply.think(BEGUN_MS))
    assert reply.problem == "the connection was lost"
    assert reply.text == "You said"
    assert voice.told == [("You said", 8), "finish"]
    assert len(llm.asked) == 2
    assert reply.heard() == Heard(8, "You said")


def test_the_voice_has_begun_with_its_first_sound_and_is_over_with_its_last() -> None:
    reply = draft(Script("You."), Voice((0.0, 0, False), (0.5, 0, False), (0.0, 4, True)))
    assert (reply.speaking, reply.over) == (False, False)
    assert not run(reply.speak(7)).any()
    assert (reply.speaking, reply.over, reply.first_tick) == (False, False, 7)
    assert run(reply.speak(8))[-1] == 0.5
    assert (reply.speaking, reply.over) == (True, False)
    assert not run(reply.speak(9)).any()
    assert (reply.speaking, reply.over, reply.first_tick) == (True, True, 7)


def test_a_voice_that_fades_is_stopped_before_its_last_tick() -> None:
    voice = Voice((0.5, 3, True))
    assert run(draft(Script("You."), voice).fade())[-1] == 0.5
    assert voice.told == ["stop"]


def spoken(*chars: int, text: tuple[str, ...] = ("You said tell ", "me.")) -> Draft:
    """A draft with a tick of voice for each number of ``chars``, from tick 5 on."""
    reply = draft(Script(*text), Voice(*((0.5, count, False) for count in chars)))
    for _ in text:
        run(reply.think(BEGUN_MS))
    for tick in range(len(chars)):
        run(reply.speak(5 + tick))
    return reply


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [
        (0, ""),
        (479, ""),  # the first tick has not been heard to its end
        (480, "You"),
        (559, "You"),
        (560, "You said"),
        (640, "You said"),  # in the middle of "tell"
        (720, "You said tell me."),
        (9_999, "You said tell me."),
    ],
)
def test_what_was_heard_ends_with_the_last_whole_word(played_ms: int, heard: str) -> None:
    reply = spoken(3, 8, 12, 17)
    assert reply.heard(played_ms) == Heard(len(heard), heard)


def test_a_word_is_whole_with_its_last_character_and_no_earlier() -> None:
    assert spoken(7).heard(480).text == "You"
    assert spoken(8).heard(480).text == "You said"
    assert spoken(2).heard(480).text == ""
    assert spoken(16).heard(480).text == "You said tell"


def test_all_of_the_text_is_heard_with_its_last_visible_character() -> None:
    assert spoken(17, text=("You said tell me. ",)).heard(480).text == "You said tell me. "


def test_the_last_word_of_unfinished_text_may_go_on() -> None:
    reply = draft(Script("You said", " so."), Voice((0.5, 8, False)))
    run(reply.think(BEGUN_MS))
    run(reply.speak(5))
    assert reply.heard(480).text == "You"
    assert reply.heard().text == "You said"


def test_nothing_was_heard_before_the_first_sound() -> None:
    reply = draft(Script("I am."), Voice())
    run(reply.think(BEGUN_MS))
    assert reply.heard(9_999) == Heard(0, "")
    assert reply.heard() == Heard(5, "I am.")


def test_text_and_speech_are_told_once() -> None:
    reply = draft(Script("You said ", "so."), Voice((0.5, 3, False), (0.5, 8, False)))
    run(reply.think(BEGUN_MS))
    assert [reply.new_text(), reply.new_text()] == ["You said ", ""]
    assert reply.new_speech() == ""
    run(reply.speak(5))
    assert [reply.new_speech(), reply.new_speech()] == ["You", ""]
    run(reply.think(BEGUN_MS))
    run(reply.speak(6))
    assert [reply.new_text(), reply.new_text()] == ["so.", ""]
    assert [reply.new_speech(), reply.new_speech()] == [" said", ""]


def test_words_left_out_are_told_once() -> None:
    voice = Voice()
    reply = draft(Script("You."), voice)
    assert reply.left_out() == []
    voice.left_out = ["☃"]
    assert [reply.left_out(), reply.left_out()] == [["☃"], []]
    voice.left_out = ["☃", "♪", "♫"]
    assert [reply.left_out(), reply.left_out()] == [["♪", "♫"], []]


def test_a_reply_that_is_closed_wants_no_more_text() -> None:
    llm = Script("You", " said.")
    reply = draft(llm, Voice())
    run(reply.think(BEGUN_MS))
    reply.commit(Heard(2, "Yo"))
    assert llm.asked[1:] == [("cancel",), ("end_reply", 2, "Yo")]
    run(reply.think(BEGUN_MS))


def test_a_reply_whose_text_has_ended_is_closed_and_not_cancelled() -> None:
    llm = Script("You.")
    reply = draft(llm, Voice())
    run(reply.think(BEGUN_MS))
    reply.commit(Heard(4, "You."))
    assert llm.asked[1:] == [("end_reply", 4, "You.")]


def test_a_reply_that_is_rolled_back_leaves_the_record_as_it_was() -> None:
    llm = Script("You.")
    draft(llm, Voice()).roll_back()
    assert llm.asked == [("cancel",), ("roll_back",)]


def test_a_reply_of_a_conversation_that_is_over_is_cancelled() -> None:
    llm = Script("You.")
    draft(llm, Voice()).cancel()
    assert llm.asked == [("cancel",)]
