"""The reply to one thing the user said: what the agent says it said, and the sound of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ
from duplex_evals.audio.segments import Span, merge, speech_segments
from duplex_evals.conversation.record import Placed, Record

Audio = NDArray[np.float32]

PAD_MS = 100  # soft beginnings and endings of words lie below the level of a segment
JOIN_MS = 1000  # a longer silence inside a reply is cut out: recognisers dream up words in it


@dataclass(frozen=True)
class AgentReply:
    """The agent's side between one item of the user and the next.

    ``text``: its own words, None when the target never tells them. ``audio`` float32 [n] at
    16 kHz, clipped to -1..1, its silence trimmed; empty when nothing was heard. ``latency_ms``
    from the end of the item to the first audio, negative when the agent was early, None when
    there is no sound. ``complete``: it was said to its end, neither interrupted nor cut off by the
    end of the recording; only then can sound and text be compared.
    ``channel`` float32 [n] at 24 kHz: the same untouched, from the tick in which the agent says it
    begins (where it says so, ``announced``) to its end.
    """

    item: str
    text: str | None
    audio: Audio
    latency_ms: float | None
    complete: bool
    channel: Audio
    announced: bool

    @property
    def answered(self) -> bool:
        return len(self.audio) > 0


def replies(record: Record) -> list[AgentReply]:
    """One entry for every item that expects a reply and was placed, in order."""
    tells = any(event["type"].startswith("reply.") for event in record.events)
    heard = merge(speech_segments(record.agent, AGENT_RATE_HZ), JOIN_MS)
    found = []
    for placed, until_ms in _windows(record):
        start_ms, end_ms = placed.start_ms, placed.end_ms
        assert start_ms is not None
        assert end_ms is not None
        text = _text(record, start_ms, until_ms) if tells else None
        spans = [(a, min(b, until_ms)) for a, b in heard if start_ms <= a < until_ms]
        latency_ms = spans[0][0] - end_ms if spans else None
        audio = audio_of(record.agent, spans)
        complete = _complete(record, start_ms, until_ms, spans)
        begun = [e["at_ms"] for e in record.events if e["type"] == "reply.started"]
        announced_ms = [at for at in begun if start_ms <= at < until_ms]
        channel = _channel(record.agent, spans, announced_ms)
        found.append(
            AgentReply(placed.item, text, audio, latency_ms, complete, channel, bool(announced_ms))
        )
    return found


def audio_of(agent: Audio, spans: list[Span]) -> Audio:
    """``spans`` of the agent's 24 kHz channel with a little air around them, at 16 kHz."""
    per_ms = AGENT_RATE_HZ // 1000
    parts = [
        agent[max(0, round((a - PAD_MS) * per_ms)) : round((b + PAD_MS) * per_ms)] for a, b in spans
    ]
    if not parts:
        return np.zeros(0, np.float32)
    joined = np.concatenate(parts).astype(np.float32)
    return np.asarray(soxr.resample(joined, AGENT_RATE_HZ, USER_RATE_HZ), np.float32).clip(-1, 1)


def _channel(agent: Audio, spans: list[Span], announced_ms: list[float]) -> Audio:
    per_ms = AGENT_RATE_HZ // 1000
    if not spans:
        return np.zeros(0, np.float32)
    first_ms = min([*announced_ms, spans[0][0]])
    return agent[round(first_ms * per_ms) : round((spans[-1][1] + PAD_MS) * per_ms)]


def _windows(record: Record) -> Iterator[tuple[Placed, float]]:
    """Items that want a reply, each with the time at which the next item begins."""
    there = [p for p in record.placed if p.start_ms is not None]
    for number, placed in enumerate(there):
        later = [p.start_ms for p in there[number + 1 :] if p.start_ms is not None]
        if placed.expect == "reply":
            yield placed, min(later, default=record.duration_s * 1000)


def _complete(record: Record, start_ms: float, until_ms: float, spans: list[Span]) -> bool:
    here = [e for e in record.events if start_ms <= e["at_ms"] < until_ms]
    started = sum(e["type"] == "reply.started" for e in here)
    done = sum(e["type"] == "reply.done" and e["status"] == "completed" for e in here)
    quiet_after = bool(spans) and spans[-1][1] < until_ms - PAD_MS
    return quiet_after and started <= done


def _text(record: Record, start_ms: float, until_ms: float) -> str:
    """What was written in the window; of a reply that was cut off, what was heard of it."""
    written: dict[object, str] = {}
    for event in record.events:
        if not start_ms <= event["at_ms"] < until_ms:
            continue
        key = event.get("reply_id")
        if event["type"] == "reply.text.delta":
            written[key] = written.get(key, "") + event["text"]
        elif event["type"] == "reply.done" and event["status"] == "interrupted":
            written[key] = event["heard_text"]
    return " ".join(text.strip() for text in written.values() if text.strip())
