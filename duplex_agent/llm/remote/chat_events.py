"""What a chat endpoint sends: the deltas of a reply, and refusals in words one can act on."""

import json
from dataclasses import dataclass
from typing import Any, Final

from duplex_agent.errors import LlmError
from duplex_agent.llm.remote.endpoint import KEY_VARIABLE, Endpoint

DONE: Final = "[DONE]"
_SHOWN: Final = 160  # characters of somebody else's text in a message of ours


@dataclass(frozen=True, slots=True)
class TextDelta:
    """New text of a reply, and whether it was the last."""

    text: str
    last: bool


def text_delta(data: str) -> TextDelta:
    """Read the data of one event of ``chat.completion.chunk``.

    Raises LlmError for anything else, and for an error that the endpoint reports in the stream.
    """
    if data.strip() == DONE:
        return TextDelta("", True)
    try:
        chunk = json.loads(data)
        if isinstance(chunk, dict) and chunk.get("error"):
            raise LlmError(f"the language model failed while it wrote: {_message_of(chunk)}")
        choices = chunk["choices"]
        if not choices:  # the last chunk may hold nothing but the count of tokens
            return TextDelta("", False)
        text = choices[0].get("delta", {}).get("content") or ""
        # A lone surrogate can be written in JSON and in nothing else.
        text = text.encode("utf-8", "replace").decode()
        return TextDelta(text, choices[0].get("finish_reason") is not None)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise LlmError(
            "the language model's server sent something that is no chat completion chunk:"
            f" {_one_line(data)!r}"
        ) from error


def refusal(endpoint: Endpoint, status: int, body: bytes, key: str) -> str:
    """One line for a reply whose ``status`` is not 200, with what the server says itself."""
    said = _one_line(_said(body).replace(key, "(the key)") if key else _said(body))
    says = f"; it says: {said}" if said else ""
    where = endpoint.url
    if status in (401, 403):
        have = "refuses the key in" if key else "wants a key: put it into"
        return f"{where} {have} {KEY_VARIABLE}{says}"
    if status == 404:
        return (
            f"{where} knows no model {endpoint.model!r}, or is not the base of a chat endpoint"
            f" (it usually ends in /v1){says}"
        )
    if status == 429:
        return f"{where} takes no more requests for now (429): wait, or see to the quota{says}"
    if status >= 500:
        return f"{where} failed with status {status}: look at its log or try again{says}"
    return f"{where} refused the request with status {status}{says}"


def _said(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return _message_of(json.loads(text))
    except (ValueError, RecursionError):
        # A page of HTML says nothing that fits into a line.
        return "" if text.lstrip().startswith("<") else text


def _message_of(value: Any) -> str:
    """The message in the shapes that servers give their errors."""
    if isinstance(value, dict):
        for name in ("error", "message", "detail"):
            if value.get(name):
                return _message_of(value[name])
    return value if isinstance(value, str) else json.dumps(value)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
