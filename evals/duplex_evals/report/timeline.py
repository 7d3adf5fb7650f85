"""A record as the marks and levels of a timeline."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ
from duplex_evals.audio.segments import Span
from duplex_evals.conversation.record import Record
from duplex_evals.report.document import Mark, Timeline

STEPS: Final = 280  # of a drawing, however long the conversation
QUIETEST_DBFS: Final = -60.0
MARKED: Final = {
    "user.turn_ended": "turn ended",
    "reply.started": "reply",
    "playback.flush": "stopped",
}


def timeline(record: Record, segments: list[Span]) -> Timeline:
    """What a page shows of ``record``; ``segments`` (ms): where the agent's channel has speech."""
    length_ms = max(len(record.user) / USER_RATE_HZ, len(record.agent) / AGENT_RATE_HZ) * 1000
    step_ms = max(length_ms / STEPS, 40.0)
    return Timeline(
        step_ms=round(step_ms, 2),
        user_levels=levels(record.user, USER_RATE_HZ, step_ms),
        agent_levels=levels(record.agent, AGENT_RATE_HZ, step_ms),
        placed=[
            Mark(round(a, 1), round(b, 1), item.kind, item.text)
            for item in record.placed
            for a, b in item.spans_ms
        ],
        segments=[Mark(round(a, 1), round(b, 1), "speech") for a, b in segments],
        understood=_words(record.events, "user.transcript.delta") or _turns(record.events),
        said=_words(record.events, "reply.spoken.delta"),
        events=[
            Mark(float(e["at_ms"]), float(e["at_ms"]), MARKED[e["type"]], str(e.get("reason", "")))
            for e in record.events
            if e["type"] in MARKED
        ],
    )


def levels(pcm: NDArray[np.float32], rate_hz: int, step_ms: float) -> list[int]:
    """Loudness of each step, 0 (at most -60 dBFS) to 99 (full scale)."""
    size = max(int(rate_hz * step_ms / 1000), 1)
    padded = np.pad(pcm, (0, -len(pcm) % size)).reshape(-1, size).astype(np.float64)
    dbfs = 10 * np.log10((padded**2).mean(axis=1) + 1e-12)
    return [int(v) for v in np.clip((dbfs - QUIETEST_DBFS) / -QUIETEST_DBFS * 99, 0, 99)]


def _words(events: list[dict[str, Any]], type_: str) -> list[Mark]:
    found: list[Mark] = []
    for event in events:
        if event["type"] == "user.transcript.revised" and type_.startswith("user."):
            del found[len(found) - event["words"] :]
        if event["type"] == type_ and event.get("text", "").strip():
            start = float(event.get("start_ms", event["at_ms"]))
            found.append(Mark(start, float(event.get("end_ms", start)), "word", event["text"]))
    return found


def _turns(events: list[dict[str, Any]]) -> list[Mark]:
    """For agents that tell their understanding only at the end of a turn."""
    ended = [e for e in events if e["type"] == "user.turn_ended" and e.get("text")]
    return [Mark(float(e["at_ms"]), float(e["at_ms"]), "turn", e["text"]) for e in ended]
