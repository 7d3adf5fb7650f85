"""An agent with known delays that is told the truth: what every metric has to give back exactly.

It knows what was placed on the user's channel, never more of it than has been heard, and answers
with a voice-like hum whose edges lie where its script says, to the sample.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.duplex.events import Event, Tick
from duplex_evals.audio.hum import voice_hum
from duplex_evals.conversation.record import Placed
from duplex_evals.conversation.user_channel import UserChannel

TURNS = frozenset({"turn", "interruption"})


@dataclass(frozen=True)
class Script:
    """What the agent does. Delays below 80 ms cannot be kept: a tick is heard before an answer.

    ``patience_ms`` None waits for the true end of a turn; a number takes any silence of at least
    that length inside a turn for its end. ``stops_for`` are the kinds of item that silence it,
    ``answers`` those that it answers; an item that expects to be ignored or "stop" alone is not
    answered unless its kind is no turn. ``missed`` is the share of turns it leaves unanswered.
    ``backchannel_ms``: a hum of 300 ms this long after a user turn began, and as often again.
    """

    reply_after_ms: float = 500.0
    reply_ms: float = 3_000.0
    stop_after_ms: float = 300.0
    stops_for: frozenset[str] = frozenset({"interruption"})
    answers: frozenset[str] = TURNS
    patience_ms: float | None = None
    missed: float = 0.0
    backchannel_ms: float | None = None
    greeting_ms: float = 0.0  # length of a greeting that begins at 80 ms


BACKCHANNEL_MS = 300.0


class ScriptedAgent:
    """Plays a script. ``offline.run_offline`` lets it follow the user's channel."""

    name = "scripted"
    abilities: frozenset[str] = frozenset()

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.reset(0)

    def reset(self, seed: int, instructions: str = "") -> None:
        """Begin a new conversation; ``seed`` decides which turns are missed."""
        self._rng = np.random.default_rng(seed)
        self._placed: Callable[[], list[Placed]] = list
        self._ticks = 0
        self._sounds: list[list[float]] = []  # [start, end) of what it says, as heard
        self._replies = 0
        self._events: list[Event] = []
        self._begun: set[str] = set()
        self._ended: set[tuple[str, int]] = set()
        self._hummed: dict[str, int] = {}
        if self.script.greeting_ms:
            self._sounds.append([float(TICK_MS), TICK_MS + self.script.greeting_ms])

    def follow(self, channel: UserChannel) -> None:
        """Learn from ``channel`` what is placed."""
        self._placed = lambda: channel.placed

    def tick(self, user_pcm: NDArray[np.float32]) -> Tick:
        """``user_pcm`` [1280] counts as heard; its sound is not looked at."""
        self._ticks += 1
        self._events = []
        known_ms = self._ticks * TICK_MS
        for item in self._placed():
            if item.start_ms is not None and item.start_ms <= known_ms:
                self._react(item, known_ms)
        return Tick(self._render(known_ms), tuple(self._events))

    def _react(self, item: Placed, known_ms: float) -> None:
        if item.item not in self._begun:
            self._begun.add(item.item)
            if item.kind in self.script.stops_for:
                self._stop(item.spans_ms[0][0])
        if item.kind == "turn" and self.script.backchannel_ms is not None:
            self._hum(item, self.script.backchannel_ms, known_ms)
        for number, (_, end) in enumerate(item.spans_ms):
            if end > known_ms or (item.item, number) in self._ended:
                continue
            last = number == len(item.spans_ms) - 1
            quiet = float("inf") if last else item.spans_ms[number + 1][0] - end
            if last or (self.script.patience_ms is not None and quiet >= self.script.patience_ms):
                self._ended.add((item.item, number))
                self._answer(item, end)

    def _answer(self, item: Placed, end_ms: float) -> None:
        script = self.script
        if item.kind not in script.answers or (item.kind in TURNS and item.expect == "stop"):
            return
        start = end_ms + script.reply_after_ms
        if self._rng.random() < script.missed or self._speaking_at(start):
            return
        self._sounds.append([start, start + script.reply_ms])
        self._replies += 1
        data = {"reply_id": self._replies, "response_ms": round(script.reply_after_ms)}
        self._events.append(Event("reply.started", round(start), data))

    def _stop(self, onset_ms: float) -> None:
        for audio in self._sounds:
            if audio[0] <= onset_ms < audio[1]:
                audio[1] = min(audio[1], onset_ms + self.script.stop_after_ms)

    def _hum(self, item: Placed, every_ms: float, known_ms: float) -> None:
        assert item.start_ms is not None
        assert item.end_ms is not None
        count = self._hummed.get(item.item, 0) + 1
        start = item.start_ms + count * every_ms
        if start < min(known_ms + TICK_MS, item.end_ms) and not self._speaking_at(start):
            self._hummed[item.item] = count
            self._sounds.append([start, start + BACKCHANNEL_MS])

    def _speaking_at(self, moment_ms: float) -> bool:
        return any(start <= moment_ms < end for start, end in self._sounds)

    def _render(self, known_ms: float) -> NDArray[np.float32]:
        """What is heard during the next tick, the one that begins at ``known_ms``."""
        first = round(known_ms * AGENT_RATE_HZ / 1000)
        pcm = np.zeros(AGENT_TICK_SAMPLES, np.float32)
        for start, end in self._sounds:
            a = max(round(start * AGENT_RATE_HZ / 1000), first)
            b = min(round(end * AGENT_RATE_HZ / 1000), first + AGENT_TICK_SAMPLES)
            if a < b:
                pcm[a - first : b - first] = voice_hum(a, b)
        return pcm
