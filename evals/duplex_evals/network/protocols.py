"""The two dialects of a realtime server: what to send it, and its events in the project's names.

Pure: events in, reactions out. ``at_ms`` is when an event reached the caller, on its clock.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Message = dict[str, Any]

SESSION_TIMES: Final = ("at_ms", "start_ms", "end_ms")


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows from one event of the server.

    ``ready``: the conversation may begin. ``flush``: what waits to be played must not be heard.
    ``failure``: the call is lost, and why.
    """

    events: list[Message] = field(default_factory=list)
    send: list[Message] = field(default_factory=list)
    ready: bool = False
    flush: bool = False
    failure: str = ""


class Dialect(Protocol):
    """One conversation's worth of a dialect."""

    def react(self, event: Message, at_ms: float) -> Reaction: ...


class ProjectProtocol:
    """The gateway of this project: its events are already named as they should be."""

    def react(self, event: Message, at_ms: float) -> Reaction:
        """``received_ms`` is added; times stay those of the server's session."""
        kind = event.get("type", "")
        if kind == "session.created":
            return Reaction(ready=True)
        if kind == "call.ended":
            return Reaction(failure=str(event.get("message", "the server ended the call")))
        if kind == "worker.restarting":
            return Reaction(failure=f"the worker was lost: {event.get('message', '')}")
        failure = str(event.get("message", "")) if kind == "error" else ""
        return Reaction([{**event, "received_ms": at_ms}], failure=failure)


class RealtimeProtocol:
    """The OpenAI Realtime API, GA names and the beta names that many servers still use.

    Over a WebSocket the caller owns what is played: on the user's speech it stops playing.
    ``settings`` is sent as ``session.update``; None where they went with the offer.
    """

    _TEXT: Final = (
        "response.output_audio_transcript.delta",
        "response.audio_transcript.delta",
        "response.output_text.delta",
        "response.text.delta",
    )

    def __init__(self, settings: Message | None = None) -> None:
        self._settings = settings
        self._ready = False
        self._replies: list[str] = []

    def react(self, event: Message, at_ms: float) -> Reaction:
        """See the module."""
        kind = str(event.get("type", ""))
        if kind == "session.created":
            if self._settings is None:
                self._ready = True
                return Reaction(ready=True)
            return Reaction(send=[{"type": "session.update", "session": self._settings}])
        if kind == "session.updated":
            self._ready = True
            return Reaction(ready=True)
        if kind == "error":
            message = str(event.get("error", {}).get("message", event.get("message", "")))
            failure = "" if self._ready else f"the session was refused: {message}"
            return Reaction([_event("error", at_ms, message=message)], failure=failure)
        return Reaction(
            self._translate(kind, event, at_ms), flush=kind == "input_audio_buffer.speech_started"
        )

    def _translate(self, kind: str, event: Message, at_ms: float) -> list[Message]:
        if kind in self._TEXT:
            number = self._number(str(event.get("response_id", "")))
            text = str(event.get("delta", ""))
            return [_event("reply.text.delta", at_ms, reply_id=number, text=text)]
        if kind == "response.created":
            number = self._number(str(event.get("response", {}).get("id", "")))
            return [_event("reply.started", at_ms, reply_id=number)]
        if kind == "response.done":
            return [self._done(event.get("response", {}), at_ms)]
        if kind == "input_audio_buffer.speech_started":
            return [_event("user.speech_started", at_ms)]
        if kind == "input_audio_buffer.speech_stopped":
            return [_event("user.speech_stopped", at_ms)]
        if kind == "conversation.item.input_audio_transcription.completed":
            text = str(event.get("transcript", "")).strip()
            return [_event("user.turn_ended", at_ms, text=text, reason="transcribed")]
        return []

    def _done(self, response: Message, at_ms: float) -> Message:
        status = str(response.get("status", ""))
        status = "interrupted" if status == "cancelled" else status
        number = self._number(str(response.get("id", "")))
        return _event("reply.done", at_ms, reply_id=number, status=status)

    def _number(self, id: str) -> int:
        if id not in self._replies:
            self._replies.append(id)
        return self._replies.index(id) + 1


def on_caller_clock(events: list[Message], offset_ms: float) -> list[Message]:
    """``events`` when they reached the caller, less ``offset_ms`` of transport.

    A server that falls behind skips time on its own session clock, so every event is moved by
    itself, and with it the other session times that it tells.
    """
    moved = []
    for event in events:
        late = event["received_ms"] - event["at_ms"] if "received_ms" in event else 0.0
        by = late - offset_ms
        times = {k: round(event[k] + by) for k in SESSION_TIMES if event.get(k) is not None}
        moved.append({k: v for k, v in {**event, **times}.items() if k != "received_ms"})
    return moved


def _event(type: str, at_ms: float, **data: Any) -> Message:
    return {"type": type, "at_ms": round(at_ms), **data}
