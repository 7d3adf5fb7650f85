"""What a tick sees of a remote reply: time stamps decide, not when somebody looks."""

from duplex_agent.llm.remote.chat_events import Piece
from duplex_agent.llm.remote.client import ChatStream


def test_text_is_seen_at_the_time_since_the_request_at_which_it_came() -> None:
    now_s = [5.0]
    stream = ChatStream(clock=lambda: now_s[0])
    for at_s, piece in ((5.25, Piece("One ", last=False)), (5.5, Piece("two.", last=True))):
        now_s[0] = at_s
        stream.put(piece)
    seen = [(stream.take(ms, wait=False), stream.ended) for ms in (249, 250, 499, 500, 600)]
    assert seen == [("", False), ("One ", False), ("", False), ("two.", True), ("", True)]


def test_a_reply_that_is_over_is_not_waited_for() -> None:
    stream = ChatStream(clock=lambda: 5.0)  # a clock that stands: waiting would never end
    stream.put(Piece("Yes.", last=True))
    assert stream.take(60_000, wait=True) == "Yes."
