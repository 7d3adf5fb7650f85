"""Where the language model is: an OpenAI-compatible chat endpoint, checked before anything loads.

Needs no HTTP library, so that the command line and the gateway may hold one.
"""

import ipaddress
import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from duplex_agent.errors import LlmError

KEY_VARIABLE: Final = "OPENAI_API_KEY"
DEFAULT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True)
class Endpoint:
    """``POST {url}/chat/completions`` for ``model``. Raises LlmError for what cannot be one.

    ``timeout_s``: how long a reply may go without new text, its beginning included. The key is no
    part of this: it comes from the environment of the process that asks.
    """

    url: str
    model: str
    timeout_s: float = DEFAULT_TIMEOUT_S

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            usable = usable and parts.port != 0 and not (parts.query or parts.fragment)
        except ValueError:  # a port that is no number, a bracket too few
            usable = False
        if not usable or any(c.isspace() or not c.isprintable() for c in self.url):
            raise LlmError(
                f"{self.url!r} is no address of a chat endpoint: give its base,"
                " for example http://localhost:8080/v1"
            )
        if "@" in parts.netloc:
            raise LlmError(f"take the password out of the URL: the key is read from {KEY_VARIABLE}")
        if not self.model.strip():
            raise LlmError("name the model that the endpoint should run: --llm-model NAME")
        if not self.timeout_s > 0:
            raise LlmError(f"a timeout of {self.timeout_s} s is none: give more than 0")

    @property
    def completions_url(self) -> str:
        """Where requests go."""
        return f"{self.url.rstrip('/')}/chat/completions"

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, where no proxy has to be asked."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def api_key() -> str:
    """The key in the environment, "" without one. Raises LlmError if no header could hold it."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise LlmError(f"{KEY_VARIABLE} holds characters that no key has: set it again")
    return key
