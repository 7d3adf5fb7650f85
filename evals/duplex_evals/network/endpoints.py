"""How a WebRTC call is opened and ended over HTTP: this project's gateway, or OpenAI's API."""

import json
import os
import secrets
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

from duplex_evals.errors import TargetError
from duplex_evals.network.protocols import Dialect, ProjectProtocol, RealtimeProtocol

CALLS_PATH: Final = "/v1/realtime/calls"
DEFAULT_MODEL: Final = "gpt-realtime"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
HTTP_TIMEOUT_S: Final = 20.0
REACH_S: Final = 5.0
READY_S: Final = 60.0


class TargetBusy(TargetError):
    """The target lives, and takes no further call at the moment."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The SDP answer to an offer, and the request that ends the call (no URL: there is none)."""

    answer: str
    hang_up_url: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Endpoint(Protocol):
    """Where a call is made. Its methods block; ``silence_limit_s``: no packets that long: dead."""

    name: str
    url: str
    silence_limit_s: float

    def open(self, offer: str, instructions: str) -> Opened:
        """Raises TargetBusy, or TargetError when there is no usable answer."""
        ...

    def dialect(self) -> Dialect: ...


class ProjectEndpoint:
    """A server of this project, ``http://host:port``. It takes no instructions."""

    silence_limit_s = 5.0  # it sends a packet every 20 ms, silence too

    def __init__(self, url: str) -> None:
        self.name = self.url = url.rstrip("/")

    def open(self, offer: str, instructions: str) -> Opened:
        """POST the offer as it is."""
        return _open(self.url + CALLS_PATH, offer.encode(), {"Content-Type": "application/sdp"})

    def dialect(self) -> Dialect:
        return ProjectProtocol()

    def loading(self) -> str:
        """What keeps the server from taking calls, "" when nothing does."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=HTTP_TIMEOUT_S):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            # Only servers of this project have the page, and only they say 503 there.
            return text if error.code == 503 else ""
        except OSError as error:
            return str(error)


class RealtimeEndpoint:
    """Any server with ``POST /v1/realtime/calls`` of the OpenAI Realtime API.

    ``url`` may name a path and ``?model=``. The key is taken from OPENAI_API_KEY.
    """

    silence_limit_s = 30.0  # some send nothing in silence

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.model = parse_qs(parts.query).get("model", [DEFAULT_MODEL])[0]
        path = parts.path if parts.path.strip("/") else CALLS_PATH
        self.url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        self.name = f"openai+{self.url}?model={self.model}"

    def open(self, offer: str, instructions: str) -> Opened:
        """POST offer and session as the two parts of a form."""
        session = {"type": "realtime", "model": self.model}
        if instructions:
            session["instructions"] = instructions
        boundary = secrets.token_hex(16)
        parts = (("sdp", "application/sdp", offer), ("session", "application/json", session))
        body = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
            f"{part if isinstance(part, str) else json.dumps(part)}\r\n"
            for name, kind, part in parts
        )
        form = f"{body}--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return _open(self.url, form, {"Content-Type": kind}, key_header(self.url))

    def dialect(self) -> Dialect:
        return RealtimeProtocol()


def wait_until_ready(endpoint: Endpoint) -> None:
    """Return once ``endpoint`` takes calls: sooner known than after calibrating. Blocks.

    Raises TargetError when nothing listens there, or a server of this project is not ready within
    a minute.
    """
    parts = urlsplit(endpoint.url)
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), REACH_S):
            pass
    except OSError as error:
        raise TargetError(
            f"nothing answers at {endpoint.url}: {error}. Does the server run?"
        ) from error
    give_up_s = time.monotonic() + READY_S
    while isinstance(endpoint, ProjectEndpoint) and (state := endpoint.loading()):
        if time.monotonic() > give_up_s:
            raise TargetError(f"{endpoint.url} is not ready: {state}")
        time.sleep(1.0)


def hang_up(opened: Opened) -> None:
    """End a call; a server that has forgotten it, or is gone, has ended it already."""
    if not opened.hang_up_url:
        return
    request = urllib.request.Request(opened.hang_up_url, b"", opened.headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S):
            return
    except OSError:
        return


def key_header(url: str) -> dict[str, str]:
    """The bearer key out of the environment, for OpenAI-compatible servers; it may be absent.

    Raises TargetError when OpenAI itself is called without one.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    host = urlsplit(url).hostname or ""
    if not key and host.endswith("openai.com"):
        raise TargetError(f"{host} wants a key: set {KEY_VARIABLE}")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _open(
    url: str, body: bytes, headers: dict[str, str], key: dict[str, str] | None = None
) -> Opened:
    key = key or {}
    request = urllib.request.Request(url, body, {**headers, **key}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as reply:
            answer = reply.read().decode()
            location = reply.headers.get("Location", "")
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode(errors="replace")
        if error.code in (429, 503):
            raise TargetBusy(f"{url}: {_message(text)}") from error
        raise TargetError(f"{url} answers {error.code}: {_message(text)}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TargetError(f"nothing answers at {url}: {reason}. Does the server run?") from error
    if not answer.startswith("v=0"):
        raise TargetError(f"{url} gives no SDP answer")
    ending = urljoin(url, location).rstrip("/") + "/hangup"
    # A key goes to the host it was meant for, whatever an answer says.
    known = bool(location) and urlsplit(ending).netloc == urlsplit(url).netloc
    return Opened(answer, ending if known else "", key)


def _message(text: str) -> str:
    """What an error body says, in one line."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:200] or "no reason given"
