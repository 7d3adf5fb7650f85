"""Replies whose text comes from elsewhere, late, broken off or never, read off a scripted line."""

from functools import partial

from scripted_parts import Conversation
from scripted_user import say

from duplex_agent.errors import LlmError
from duplex_agent.llm.protocol import TurnPair
from duplex_agent.llm.remote.remote_llm import RemoteLlm

LOST = "the connection was lost"
ASKED = say("tell", "", "me", rest=7)  # the reply begins in the last of these ten ticks


class Line:
    """A client of a chat endpoint, and the stream of every reply: a piece for each tick.

    "" is a tick without text; an error ends the text, as the end of the pieces does.
    """

    def __init__(self, *pieces: str | LlmError) -> None:
        self._pieces = list(pieces)
        self.asked: list[list[dict[str, str]]] = []
        self.cancelled = 0
        self.failure: LlmError | None = None

    def ask(self, messages: list[dict[str, str]]) -> "Line":
        self.asked.append(messages)
        return self

    @property
    def ended(self) -> bool:
        return not self._pieces or self.failure is not None

    def take(self, until_ms: int, wait: bool) -> str:
        piece = self._pieces.pop(0) if self._pieces else ""
        if isinstance(piece, LlmError):
            self.failure = piece
            return ""
        return piece

    def cancel(self) -> None:
        self.cancelled += 1


def call(line: Line) -> Conversation:
    return Conversation(open_llm=partial(RemoteLlm, line))  # type: ignore[arg-type]


def told(talk: Conversation) -> list[tuple[object, ...]]:
    """The events of replies and of the floor without their text."""
    kinds = ("reply.started", "reply.done", "reply.left_out", "error", "playback.flush")
    return [
        (e.at_ms, e.type, *e.data.values())
        for e in talk.events
        if e.type in kinds or (e.type == "floor.changed" and e.data["floor"] == "listening")
    ]


def test_text_that_breaks_off_is_spoken_and_the_reply_failed() -> None:
    line = Line("You said ", "so ", LlmError(LOST), "never")
    talk = call(line)
    talk.hear(ASKED + say(rest=9))
    assert told(talk) == [
        (800, "reply.started", 1, 560),
        (960, "error", LOST),
        (1200, "reply.done", 1, "failed", "You said so"),
        (1280, "floor.changed", "listening", "replying", "the text of the reply could not be had"),
    ]
    assert talk.session.pairs == [TurnPair("tell me", "You said so")]


def test_text_that_never_comes_leaves_a_turn_without_an_answer() -> None:
    talk = call(Line(LlmError(LOST)))
    talk.hear(ASKED + say(rest=3))
    assert told(talk) == [
        (800, "error", LOST),
        (880, "floor.changed", "listening", "replying", "the text of the reply could not be had"),
    ]
    assert talk.session.pairs == [TurnPair("tell me", "")]


def test_text_that_cannot_be_said_is_told_and_the_turn_is_closed() -> None:
    talk = call(Line("☃ ", "♪☃ "))
    talk.hear(ASKED + say(rest=3))
    assert told(talk) == [
        (800, "reply.left_out", 1, ["☃"]),
        (880, "reply.left_out", 1, ["♪☃"]),
        (960, "floor.changed", "listening", "replying", "nothing to say"),
    ]
    assert talk.of_type("reply.text.delta") == []  # text is told with the voice that says it
    assert talk.session.pairs == [TurnPair("tell me", "")]


def test_the_reply_starts_when_the_voice_does() -> None:
    talk = call(Line("", "", "You ", "said"))
    talk.hear(ASKED + say(rest=9))
    assert told(talk) == [
        (960, "reply.started", 1, 720),
        (1200, "reply.done", 1, "completed", "You said"),
        (1280, "floor.changed", "listening", "replying", "said everything"),
    ]
    texts = [(e.at_ms, e.data["text"]) for e in talk.events if e.type == "reply.text.delta"]
    assert texts == [(960, "You "), (1040, "said ")]


def test_text_that_somebody_pays_for_is_asked_for_once_the_turn_is_over() -> None:
    line = Line("Yes.")
    talk = call(line)
    talk.hear(ASKED[:-1])
    assert line.asked == []
    talk.hear(ASKED[-1:])
    assert [messages[-1]["content"] for messages in line.asked] == ["tell me"]


def waiting() -> tuple[Conversation, Line]:
    """A call whose reply has begun and has no text yet."""
    line = Line(*[""] * 50)
    talk = call(line)
    talk.hear(ASKED)
    return talk, line


def test_a_reply_that_is_interrupted_before_it_sounds_leaves_the_turn_open() -> None:
    talk, line = waiting()
    talk.hear(say("more", "", "", rest=2))
    assert told(talk) == [(1120, "floor.changed", "listening", "yielding", "interrupted")]
    assert line.cancelled == 1
    assert talk.session.pairs == []
    talk.hear(say(rest=9))
    assert [messages[-1]["content"] for messages in line.asked] == ["tell me", "tell me more"]


def test_a_reply_that_is_cancelled_before_it_sounds_closes_the_turn() -> None:
    talk, line = waiting()
    talk.session.cancel()
    talk.hear(say(rest=2))
    reason = "a client cancelled the reply"
    assert told(talk) == [(880, "floor.changed", "listening", "replying", reason)]
    assert line.cancelled == 1
    assert talk.session.pairs == [TurnPair("tell me", "")]
    assert talk.session.truncate(1, heard_ms=0) == ""


def test_a_call_that_ends_wants_no_more_text() -> None:
    talk, line = waiting()
    talk.call.close()
    assert line.cancelled == 1


def test_a_call_without_a_reply_ends_quietly() -> None:
    line = Line()
    call(line).call.close()
    assert line.cancelled == 0
