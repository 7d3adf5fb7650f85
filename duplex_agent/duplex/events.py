"""The one ordered timeline: what a tick reports beside its sound. Needs no torch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at ``at_ms`` on the session timeline.

    ``type`` is one of the names in ``EVENT_TYPES``; ``data`` holds JSON values only.
    """

    type: str
    at_ms: int
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "at_ms": self.at_ms, **self.data}


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick gives: 80 ms of agent sound (float32, 24 kHz, [1920]) and its events."""

    agent_pcm: NDArray[np.float32]
    events: tuple[Event, ...]


# type -> the keys its data holds
EVENT_TYPES: dict[str, tuple[str, ...]] = {
    "floor.changed": ("floor", "previous", "reason"),
    "user.speech_started": ("start_ms",),
    "user.speech_stopped": ("end_ms",),
    "user.transcript.delta": ("text", "start_ms", "end_ms"),
    "user.transcript.revised": ("text", "words"),
    "user.turn_ended": ("text", "end_ms", "reason"),
    "reply.started": ("reply_id", "response_ms"),
    "reply.text.delta": ("reply_id", "text"),
    "reply.spoken.delta": ("reply_id", "text"),
    "reply.left_out": ("reply_id", "words"),
    "reply.done": ("reply_id", "status", "heard_text"),
    "playback.flush": ("reply_id",),
    "tick.compute": ("compute_ms",),
    "error": ("message",),
}
