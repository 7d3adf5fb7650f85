"""What a tick sees of a reply from elsewhere: by time stamps, live and faster than life alike."""

import threading

import pytest

from duplex_agent.errors import LlmError
from duplex_agent.llm.remote.chat_events import TextDelta
from duplex_agent.llm.remote.client import ChatStream

LONG_S = 20.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_delta_is_seen_when_the_session_has_come_to_the_time_it_arrived():
    clock = Clock()
    stream = ChatStream(clock)
    clock.now_s = 100.75
    stream.put(TextDelta("One ", False))
    clock.now_s = 101.5
    stream.put(TextDelta("two.", True))
    assert stream.take(749, wait=False) == ""
    assert stream.take(750, wait=False) == "One "
    assert not stream.ended
    assert stream.take(1499, wait=False) == ""
    assert stream.take(1500, wait=False) == "two."
    assert stream.ended


def test_a_failure_is_seen_at_its_time_too():
    clock = Clock()
    stream = ChatStream(clock)
    clock.now_s = 100.25
    stream.put(LlmError("gone"))
    assert (stream.take(249, wait=False), stream.ended) == ("", False)
    assert (stream.take(250, wait=False), stream.ended) == ("", True)
    assert isinstance(stream.failure, LlmError)


@pytest.mark.timeout(LONG_S)
def test_a_session_that_is_ahead_of_the_clock_waits_for_what_will_have_come():
    stream = ChatStream()
    threading.Timer(0.05, lambda: stream.put(TextDelta("late", True))).start()
    assert stream.take(int(LONG_S * 1000), wait=True) == "late"  # and not a moment longer


def test_live_nothing_is_waited_for():
    assert ChatStream().take(int(LONG_S * 1000), wait=False) == ""


def test_what_comes_after_the_time_that_was_waited_for_is_left_for_later():
    stream = ChatStream()
    assert stream.take(5, wait=True) == ""
    stream.put(TextDelta("late", True))
    assert stream.take(5, wait=True) == ""
    assert stream.take(int(LONG_S * 1000), wait=True) == "late"
