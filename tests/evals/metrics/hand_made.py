"""Conversations written down by hand: spans of speech in ms on two channels."""

from collections.abc import Callable

import numpy as np
from duplex_evals.audio.hum import voice_hum
from duplex_evals.audio.segments import Span
from duplex_evals.conversation.record import Placed, Record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.metrics.conversation import Conversation
from duplex_evals.metrics.observation import Observation

EXPECT = {
    "turn": "reply",
    "interruption": "reply",
    "backchannel": "continue",
    "vocal_tic": "ignore",
    "third_party": "ignore",
    "background": "ignore",
    "noise": "ignore",
}


def placed(kind: str, *spans: Span, expect: str = "") -> Placed:
    return Placed(f"{kind}-{spans[0][0]}", kind, expect or EXPECT[kind], "", list(spans))


def talk(
    *items: Placed,
    agent: tuple[Span, ...] = (),
    end_ms: float = 30_000.0,
    family: str = "custom",
    words: Callable[[Span], int] | None = None,
) -> Conversation:
    ordered = tuple(sorted(items, key=lambda item: item.spans_ms[0]))
    return Conversation(ordered, agent, end_ms, family, words=words)


def values(seen: list[Observation], metric: str) -> list[float]:
    return [o.value / o.per for o in seen if o.metric == metric]


def two_channels(
    *items: Placed,
    agent: tuple[Span, ...] = (),
    end_ms: float = 12_000.0,
    family: str = "custom",
    voice: str = "synthetic",
) -> Record:
    """A record whose agent hums in the given spans; the user's sound is not looked at."""
    audio = np.zeros(round(end_ms * 24), np.float32)
    for start, end in agent:
        a, b = round(start * 24), round(end * 24)
        audio[a:b] = voice_hum(a, b)
    scenario = Scenario.model_validate({"id": "by-hand", "family": family, "voice": voice})
    user = np.zeros(round(end_ms * 16), np.float32)
    return Record(scenario, "by hand", 0, user, audio, list(items))
