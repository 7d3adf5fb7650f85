"""A conversation whose replies come from a real chat endpoint, failures and interruptions too."""

import re
import socket
import time
from collections.abc import Iterator
from functools import partial
from threading import Event as Flag

import pytest
from chat_server import Answer, Answering, ChatServer, saying
from scripted_parts import Conversation
from scripted_user import say

from duplex_agent.duplex.events import Event
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.sessions import Sessions
from duplex_agent.engine.slots import Slots
from duplex_agent.llm.remote.client import ChatClient
from duplex_agent.llm.remote.endpoint import Endpoint
from duplex_agent.llm.remote.remote_llm import LONGEST_REPLY, RemoteLlm

QUESTION = say("tell", "", "me", "", "more", rest=6)  # one silent tick before the turn is over
SYSTEM = ("system", "Be kind.")
ASKED = ("user", "tell me more")
WAIT_S = 20.0
TIMEOUT_S = 2.0


@pytest.fixture
def client(server: ChatServer) -> Iterator[ChatClient]:
    running = ChatClient(Endpoint(server.url, "small", timeout_s=WAIT_S), key="secret-key")
    yield running
    running.close()


@pytest.fixture
def talk(client: ChatClient) -> Conversation:
    return Conversation(open_llm=partial(RemoteLlm, client), examples=(("Hi.", "Hello."),))


def hear_until(talk: Conversation, type_: str) -> Event:
    """Silence until an event of this type comes; the other side keeps its own time."""
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        for event in talk.hear(say(rest=1)):
            if event.type == type_:
                return event
        time.sleep(0.002)
    raise AssertionError(f"no {type_} in {[event.type for event in talk.events]}")


def ask(talk: Conversation) -> Event:
    """Ask the question; the answer is the event that hands the floor back."""
    talk.hear(QUESTION)
    while (event := hear_until(talk, "floor.changed")).data["floor"] != "listening":
        pass
    return event


def test_a_streamed_reply_is_spoken_and_remembered(talk: Conversation, server: ChatServer) -> None:
    server.answer = saying("R", "ome", " is the\n", " capi", "tal.")
    assert ask(talk).data["reason"] == "said everything"
    for type_ in ("reply.text.delta", "reply.spoken.delta"):
        text = "".join(str(event["text"]) for event in talk.of_type(type_))
        assert text.strip() == "Rome is the capital."
    [done] = talk.of_type("reply.done")
    assert done == {"reply_id": 1, "status": "completed", "heard_text": "Rome is the capital."}

    request = server.requests[0]
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["Authorization"] == "Bearer secret-key"
    assert (request["model"], request["stream"]) == ("small", True)
    # The examples are the small thinker's; what is sent is what was said.
    assert server.messages() == [SYSTEM, ASKED]
    ask(talk)
    assert server.messages() == [SYSTEM, ASKED, ("assistant", "Rome is the capital."), ASKED]
    assert len(server.connections) == 1, "the connection should have been used again"


def test_a_pause_inside_a_turn_sends_no_request(talk: Conversation, server: ChatServer) -> None:
    server.answer = saying("Rome.")
    talk.hear(say("tell", "", "me", rest=6) + say("more", "", rest=6))
    hear_until(talk, "reply.done")
    assert [request["messages"][-1]["content"] for request in server.requests] == ["tell me more"]


def test_speech_begins_while_the_reply_is_still_written(
    talk: Conversation, server: ChatServer
) -> None:
    begun = Flag()

    def answer(exchange: Answering) -> None:
        exchange.begin()
        exchange.say("One two ")
        assert begun.wait(WAIT_S)
        exchange.say("three.")
        exchange.end()

    server.answer = answer
    talk.hear(QUESTION)
    hear_until(talk, "reply.started")
    begun.set()
    assert hear_until(talk, "reply.done").data["heard_text"] == "One two three."


def holding(*deltas: str) -> Answer:
    """Say these deltas and then no more until the client goes."""

    def answer(exchange: Answering) -> None:
        exchange.begin()
        exchange.say(*deltas)
        exchange.until_gone()

    return answer


def test_barge_in_closes_the_connection_and_only_what_was_heard_is_sent_again(
    talk: Conversation, server: ChatServer
) -> None:
    server.answer = holding("One two three four five six seven eight")
    talk.hear(QUESTION)
    hear_until(talk, "reply.started")
    talk.hear(say(rest=4))
    server.answer = saying("Fine.")
    talk.hear(say("stop", "wait", "why"))
    assert server.gone.wait(WAIT_S)
    [done] = talk.of_type("reply.done")
    heard = str(done["heard_text"])
    assert done["status"] == "interrupted"
    assert heard
    assert "One two three four five six seven".startswith(heard)
    hear_until(talk, "reply.done")
    assert server.messages() == [SYSTEM, ASKED, ("assistant", heard), ("user", "stop wait why")]


def test_going_on_before_the_reply_cancels_it_and_continues_the_turn(
    talk: Conversation, server: ChatServer
) -> None:
    server.answer = holding()
    talk.hear(QUESTION + say(rest=1))
    assert len(wait_for_requests(server, 1)) == 1
    server.answer = saying("Fine.")
    talk.hear(say("please", "stop", "why"))
    assert server.gone.wait(WAIT_S)
    hear_until(talk, "reply.done")
    assert server.messages() == [SYSTEM, ("user", "tell me more please stop why")]


def test_a_call_that_ends_in_the_middle_of_a_reply_closes_the_connection(
    talk: Conversation, server: ChatServer
) -> None:
    server.answer = holding("One two three")
    slots = Slots(Sessions(lambda seed: talk.session, CpuExecutor(talk.parts), "small"), 1)
    slots.handle([{"op": "open", "call": "a"}])
    talk.hear(QUESTION)
    hear_until(talk, "reply.started")
    assert slots.handle([{"op": "close", "call": "a"}]) == [{"op": "closed"}]
    assert server.gone.wait(WAIT_S)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(
    talk: Conversation, server: ChatServer
) -> None:
    def answer(exchange: Answering) -> None:
        saying("Yes.")(exchange)
        exchange.close_connection = True

    server.answer = answer
    for number in (1, 2):
        ask(talk)
        assert len(talk.of_type("reply.done")) == len(server.connections) == number
    assert talk.of_type("error") == []


def wait_for_requests(server: ChatServer, count: int) -> list[dict[str, object]]:
    until_s = time.monotonic() + WAIT_S
    while len(server.requests) < count and time.monotonic() < until_s:
        time.sleep(0.002)
    return server.requests


def refusing(status: int, body: str, kind: str = "application/json") -> Answer:
    return lambda exchange: exchange.refuse(status, body, kind)


def streaming(*events: str) -> Answer:
    def answer(exchange: Answering) -> None:
        exchange.begin()
        for text in events:
            exchange.send(text)
        exchange.cut()

    return answer


def stalling(exchange: Answering) -> None:
    exchange.begin()
    for _ in range(40):  # signs of life are no text
        exchange.send(": still here\n\n")
        time.sleep(TIMEOUT_S / 8)


def dropping(exchange: Answering) -> None:
    exchange.begin()
    exchange.close_connection = True


FAILURES = {
    "no key": (refusing(401, '{"error": {"message": "bad secret-key"}}'), "OPENAI_API_KEY"),
    "no model": (refusing(404, '{"error": "no small here"}'), "'small'.*it says: no small here"),
    "too much": (refusing(429, "{}"), "429.*quota"),
    "server error": (refusing(500, "<html>oh</html>", "text/html"), "status 500: .*or try again$"),
    "redirect": (refusing(301, ""), "status 301"),
    "not a stream": (refusing(200, '{"choices": []}'), "does not stream.*application/json"),
    "not JSON": (streaming("data: {oh\n\n"), "no chat completion chunk: '{oh'"),
    "other JSON": (streaming('data: {"choices": 3}\n\n'), "no chat completion chunk"),
    "error in the stream": (streaming('data: {"error": {"message": "OOM"}}\n\n'), "wrote: OOM"),
    "half a stream": (streaming(), "in the middle of the reply"),
    "dropped": (dropping, "broke off"),
    "no text": (saying(" ", "\n"), "wrote no words"),
    "silence": (stalling, f"no text for {TIMEOUT_S:g} s.*--llm-timeout"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_an_event_that_says_what_to_do_and_the_conversation_goes_on(
    server: ChatServer, name: str
) -> None:
    timeout_s = TIMEOUT_S if name == "silence" else WAIT_S
    client = ChatClient(Endpoint(server.url, "small", timeout_s), key="secret-key")
    talk = Conversation(open_llm=partial(RemoteLlm, client))
    server.answer, expected = FAILURES[name]
    assert ask(talk).data["reason"] == "the text of the reply could not be had"
    [error] = talk.of_type("error")
    assert re.search(expected, str(error["message"])), error
    assert "\n" not in str(error["message"])
    assert "secret-key" not in str(error["message"])
    assert talk.of_type("reply.started") == []
    server.answer = saying("Better.")
    ask(talk)
    assert talk.of_type("reply.done")[0]["heard_text"] == "Better."
    assert server.messages() == [SYSTEM, ("user", "tell me more\ntell me more")]
    client.close()


def test_a_server_that_is_not_there_is_named(server: ChatServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        client = ChatClient(Endpoint(url, "small"))
        talk = Conversation(open_llm=partial(RemoteLlm, client))
        ask(talk)
    [error] = talk.of_type("error")
    assert str(error["message"]).startswith(f"cannot reach {url}")
    assert str(error["message"]).endswith("is the server running?")
    client.close()


def test_whole_words_before_a_failure_are_spoken(talk: Conversation, server: ChatServer) -> None:
    def answer(exchange: Answering) -> None:
        exchange.begin()
        exchange.say("One two thr")
        exchange.event({"error": {"message": "OOM"}})
        exchange.cut()

    server.answer = answer
    assert ask(talk).data["reason"] == "the text of the reply could not be had"
    [done] = talk.of_type("reply.done")
    assert done == {"reply_id": 1, "status": "failed", "heard_text": "One two"}
    assert len(talk.of_type("error")) == 1


def test_a_reply_without_end_is_cut_and_its_connection_closed(
    talk: Conversation, server: ChatServer
) -> None:
    server.answer = holding("more and " * LONGEST_REPLY)
    ask(talk)
    assert server.gone.wait(WAIT_S)
    [done] = talk.of_type("reply.done")
    assert done["status"] == "completed"
    assert LONGEST_REPLY - 10 < len(str(done["heard_text"])) <= LONGEST_REPLY


@pytest.mark.parametrize(("text", "started"), [("Say ☃ please.", 1), ("☃", 0)])
def test_words_that_the_voice_leaves_out_are_reported(
    talk: Conversation, server: ChatServer, text: str, started: int
) -> None:
    server.answer = saying(text)
    ask(talk)
    assert talk.of_type("reply.left_out") == [{"reply_id": 1, "words": ["☃"]}]
    assert len(talk.of_type("reply.started")) == started
