"""The optional judge: relevance of a reply, 0 to 5, by any OpenAI-compatible chat endpoint.

Scores of this kind depend on the model that gives them, so they stand apart from every other
result and carry its name. Without an endpoint the column says so.
"""

import json
import os
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from duplex_evals.errors import TargetError
from duplex_evals.texts import read

KEY_VARIABLE: Final = "DUPLEX_JUDGE_KEY"
TIMEOUT_S: Final = 60.0
TRIES: Final = 3  # a model that does not give a score is asked again
HIGHEST: Final = 5
NO_JUDGE: Final = "no judge: give its URL with --judge"
_SCORE = re.compile(r'"?score"?\s*[:=]\s*"?([0-5])(?![\d.])')


def rubric() -> str:
    """What the judge is told: the published rubric."""
    return read("judge_rubric.md")


@dataclass(frozen=True)
class Judge:
    """``url``: the endpoint's base, as in ``http://host/v1``. The key comes from the environment
    variable DUPLEX_JUDGE_KEY, if the endpoint wants one.
    """

    url: str
    model: str

    def relevance(self, user: str, agent: str, seed: int = 0) -> int:
        """How well ``agent`` answers ``user``, 0 to 5; an empty answer is 0 without asking.

        Raises TargetError when the endpoint cannot be reached or gives no score in three tries.
        """
        if not agent.strip():
            return 0
        said = ""
        for attempt in range(TRIES):
            said = self._ask(f"User: {user}\nAgent: {agent}", seed + attempt)
            found = _SCORE.search(said)
            if found:
                return int(found[1])
        raise TargetError(f"the judge {self.model} gives no score: {said[:80]!r}")

    def _ask(self, text: str, seed: int) -> str:
        answer = _call(
            f"{self.url}/chat/completions",
            {
                "model": self.model,
                "messages": [
                    {"role": "system", "content": rubric()},
                    {"role": "user", "content": text},
                ],
                "temperature": 0,
                "max_tokens": 40,
                "seed": seed,
            },
        )
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise TargetError(f"{self.url}: not a chat completion: {str(answer)[:80]}") from error
        return str(content or "")


def open_judge(url: str) -> Judge:
    """The judge at ``url``; ``?model=name`` chooses, otherwise its first model is taken.

    Raises TargetError when it cannot be reached or lists no model.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"{url!r} is no judge: give the base URL of a chat endpoint")
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    named = parse_qs(parts.query).get("model")
    if named:
        return Judge(base, named[0])
    listed = _call(f"{base}/models", None)
    try:
        return Judge(base, str(listed["data"][0]["id"]))
    except (KeyError, IndexError, TypeError) as error:
        raise TargetError(f"{base} lists no model; name one with ?model=") from error


def _call(url: str, body: dict[str, Any] | None) -> Any:
    """JSON of a POST with ``body``, of a GET without. Raises TargetError."""
    headers = {"Content-Type": "application/json"}
    key = os.environ.get(KEY_VARIABLE)
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers), timeout=TIMEOUT_S) as response:
            return json.load(response)
    except HTTPError as error:
        raise TargetError(f"the judge at {url} answers {error.code} {error.reason}") from error
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TargetError(f"the judge at {url} cannot be used: {reason}") from error
