"""A chat endpoint over real HTTP, whose answers a test writes as functions of the exchange."""

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Answering(BaseHTTPRequestHandler):
    """One request. An answer is made of the methods below ``do_POST``."""

    protocol_version = "HTTP/1.1"
    server: "ChatServer"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "headers": dict(self.headers), **body})
        self.server.connections.add(self.client_address)
        self.server.answer(self)

    def refuse(self, status: int, body: str, kind: str = "application/json") -> None:
        self._head(status, kind, {"Content-Length": str(len(body.encode()))})
        self.wfile.write(body.encode())

    def begin(self) -> None:
        self._head(200, "text/event-stream; charset=utf-8", {"Transfer-Encoding": "chunked"})

    def say(self, *deltas: str) -> None:
        for text in deltas:
            self.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def event(self, value: Any) -> None:
        self.send(f"data: {json.dumps(value)}\n\n")

    def send(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        """Reason, count of tokens, the closing mark, and the end of the body."""
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.event({"choices": [], "usage": {"total_tokens": 7}})
        self.send("data: [DONE]\n\n")
        self.cut()

    def cut(self) -> None:
        """End the body as it is."""
        self.wfile.write(b"0\r\n\r\n")

    def until_gone(self) -> None:
        """Wait until the client closes the connection."""
        assert self.rfile.read(1) == b""
        self.server.gone.set()
        self.close_connection = True

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None: ...


Answer = Callable[[Answering], None]


def saying(*deltas: str) -> Answer:
    """The usual answer, in these deltas."""

    def answer(exchange: Answering) -> None:
        exchange.begin()
        exchange.say(*deltas)
        exchange.end()

    return answer


class ChatServer(ThreadingHTTPServer):
    """Keeps what it was asked; ``gone`` is set when a client left an unfinished reply."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.requests: list[dict[str, Any]] = []
        self.connections: set[Any] = set()
        self.gone = threading.Event()
        self.answer: Answer = saying("Yes.")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def messages(self) -> list[tuple[str, str]]:
        """Roles and texts of the latest request."""
        return [(m["role"], m["content"]) for m in self.requests[-1]["messages"]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients of these tests hang up
            super().handle_error(request, client_address)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
