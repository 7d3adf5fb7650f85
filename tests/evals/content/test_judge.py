"""The judge against a small server that speaks the chat protocol."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from duplex_evals.content.judge import KEY_VARIABLE, Judge, open_judge, rubric
from duplex_evals.errors import TargetError


class Endpoint:
    """A chat server: ``says`` are its next answers, ``asked`` what came in."""

    def __init__(self) -> None:
        self.says: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.give({"data": [{"id": "first"}, {"id": "second"}]})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.asked.append(json.loads(body))
                endpoint.keys.append(self.headers["Authorization"])
                said = endpoint.says.pop(0)
                self.give({"choices": [{"message": {"content": said}}]})

            def give(self, answer: dict[str, Any]) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_first_model_is_taken_unless_one_is_named(endpoint: Endpoint) -> None:
    assert open_judge(endpoint.url) == Judge(endpoint.url, "first")
    assert open_judge(endpoint.url + "/?model=other") == Judge(endpoint.url, "other")


def test_a_score_is_read_and_the_rubric_sent(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    endpoint.says = ['```json\n{"score": 4}\n```']
    assert open_judge(endpoint.url).relevance("Where is Rome?", "In Italy.") == 4
    system, user = endpoint.asked[0]["messages"]
    assert system["content"] == rubric()
    assert "Where is Rome?" in user["content"]
    assert "In Italy." in user["content"]
    assert endpoint.keys == ["Bearer secret"]


def test_an_empty_reply_is_zero_without_asking(endpoint: Endpoint) -> None:
    assert Judge(endpoint.url, "m").relevance("Hello?", " ") == 0
    assert not endpoint.asked


def test_a_judge_without_a_score_is_asked_again_and_given_up(endpoint: Endpoint) -> None:
    judge = Judge(endpoint.url, "m")
    endpoint.says = ["well...", '{"score": 12}', '{"score": 2}']
    assert judge.relevance("a", "b") == 2
    assert len({body["seed"] for body in endpoint.asked}) == 3
    endpoint.says = ["no", "no", "no"]
    with pytest.raises(TargetError, match="gives no score"):
        judge.relevance("a", "b")


def test_a_dead_or_foreign_judge_is_a_target_error(endpoint: Endpoint) -> None:
    with pytest.raises(TargetError, match="cannot be used"):
        open_judge("http://127.0.0.1:9/v1")
    with pytest.raises(TargetError, match="no judge"):
        open_judge("judge.example")
