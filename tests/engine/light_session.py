"""A conversation without weights: it hears by energy and answers with the user's own sound.

A burst of sound followed by half a second of quiet is a turn; the reply repeats the burst. Sound
during a reply is a barge-in. The events are those of the real session. Loaded in workers by
name (``light_session:load``), with this folder on PYTHONPATH.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS, USER_TICK_SAMPLES
from duplex_agent.duplex.events import Event, Tick
from duplex_agent.duplex.session import Steps
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.engine.sessions import Sessions
from duplex_agent.errors import AudioError, CheckpointError, ContextFull

LOUD = 0.02
PAUSE_TICKS = 6
BARGE_IN_TICKS = 3


class EchoSession:
    """Repeats what it hears, as a reply."""

    def __init__(self) -> None:
        self.ticks = 0
        self.heard: list[NDArray[np.float32]] = []
        self.quiet = 0
        self.loud = 0
        self.reply: list[NDArray[np.float32]] = []
        self.replies = 0

    @property
    def now_ms(self) -> int:
        return self.ticks * TICK_MS

    def steps(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Steps:
        return self.tick(user_pcm)
        yield

    def tick(self, user_pcm: NDArray[np.float32]) -> Tick:
        if user_pcm.shape != (USER_TICK_SAMPLES,):
            raise AudioError(f"a tick takes {USER_TICK_SAMPLES} samples, got {user_pcm.shape}")
        at_ms = self.ticks * TICK_MS
        self.ticks += 1
        loud = bool(np.abs(user_pcm).max() > LOUD)
        self.loud = self.loud + 1 if loud else 0
        events = self._replying(at_ms) if self.reply else self._listening(at_ms, user_pcm, loud)
        pcm = self.reply.pop(0) if self.reply else np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)
        if self.reply:
            spoken = {"reply_id": self.replies, "text": f"echo {len(self.reply)} "}
            events.append(Event("reply.spoken.delta", at_ms, spoken))
        return Tick(pcm, tuple(events))

    def snapshot(self, model: str, played_ms: int | None = None) -> Snapshot:
        return Snapshot(model=model, instructions="", pairs=[], reply_id=self.replies)

    def restore(self, snapshot: Snapshot) -> None:
        self.replies = snapshot.reply_id

    def close(self) -> None: ...

    def _listening(self, at_ms: int, pcm: NDArray[np.float32], loud: bool) -> list[Event]:
        events = []
        if loud and not self.heard:
            events.append(Event("user.speech_started", at_ms, {"start_ms": at_ms}))
        if loud or self.heard:
            self.heard.append(pcm)
        self.quiet = 0 if loud else self.quiet + 1
        if not self.heard or self.quiet < PAUSE_TICKS:
            return events
        text = f"{len(self.heard) - PAUSE_TICKS} loud ticks"
        self.replies += 1
        self.reply = [_to_24k(block) for block in self.heard[:-PAUSE_TICKS]]
        self.heard = []
        span = {"start_ms": at_ms - PAUSE_TICKS * TICK_MS, "end_ms": at_ms}
        return [
            *events,
            Event("user.transcript.delta", at_ms, {"text": text, **span}),
            Event("user.speech_stopped", at_ms, {"end_ms": at_ms}),
            Event("user.turn_ended", at_ms, {"text": text, "end_ms": at_ms, "reason": "silence"}),
            Event("floor.changed", at_ms, _floor("replying", "listening", "silence")),
            Event("reply.started", at_ms, {"reply_id": self.replies, "response_ms": 480}),
        ]

    def _replying(self, at_ms: int) -> list[Event]:
        done = {"reply_id": self.replies, "heard_text": "echo"}
        if self.loud >= BARGE_IN_TICKS:
            self.reply = []
            return [
                Event("playback.flush", at_ms, {"reply_id": self.replies}),
                Event("reply.done", at_ms, {**done, "status": "interrupted"}),
                Event("floor.changed", at_ms, _floor("listening", "replying", "barge_in")),
            ]
        if len(self.reply) == 1:
            return [
                Event("reply.done", at_ms, {**done, "status": "completed"}),
                Event("floor.changed", at_ms, _floor("listening", "replying", "reply_done")),
            ]
        return []


class Nothing:
    """Executes nothing: these sessions ask for nothing."""

    def execute(self, requests: list) -> list:
        raise AssertionError(requests)


def sessions(kind: type) -> Sessions:
    return Sessions(lambda seed: kind(), Nothing(), "echo")


def load(spec):
    return sessions(EchoSession)


class _Long(EchoSession):
    """Says a minute-long tone at the first loud sound, to be interrupted."""

    def _listening(self, at_ms: int, pcm: NDArray[np.float32], loud: bool) -> list[Event]:
        if not loud or self.replies:
            return []
        self.replies += 1
        t = np.arange(60 * 24_000) / 24_000
        tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
        self.reply = list(tone.reshape(-1, AGENT_TICK_SAMPLES))
        return [Event("reply.started", at_ms, {"reply_id": 1, "response_ms": 80})]

    def _replying(self, at_ms: int) -> list[Event]:
        # The sound that started the reply does not end it: wait for a fresh one.
        if len(self.reply) > 720:
            self.loud = 0
        return super()._replying(at_ms)


def load_long(spec):
    return sessions(_Long)


def load_nothing(spec):
    raise CheckpointError("the weights are missing: run duplex-agent doctor")


def load_naming(spec):
    llm = spec.endpoint
    raise CheckpointError(f"{llm.url} runs {llm.model}, {llm.timeout_s:g} s")


def load_slowly(spec):
    time.sleep(60)


class _Unopenable(EchoSession):
    def __init__(self) -> None:
        raise ContextFull("the prompt is too long")


def load_unopenable(spec):
    return sessions(_Unopenable)


class _Fragile(EchoSession):
    def tick(self, user_pcm: NDArray[np.float32]) -> Tick:
        if user_pcm[0] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if user_pcm[0] == 2:
            raise ValueError("a bug")
        return super().tick(user_pcm)


def load_fragile(spec):
    return sessions(_Fragile)


class _Forgetful(EchoSession):
    """Dies of what it should remember."""

    def restore(self, snapshot: Snapshot) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def load_forgetful(spec):
    return sessions(_Forgetful)


def load_fails_once(spec):
    """Fails in the first worker of a run, works in the next: the flag is a file."""
    flag = Path(os.environ["LIGHT_SESSION_FLAG"])
    if not flag.exists():
        flag.touch()
        raise CheckpointError("not yet")
    return load(spec)


def _floor(floor: str, previous: str, reason: str) -> dict[str, str]:
    return {"floor": floor, "previous": previous, "reason": reason}


def _to_24k(block: NDArray[np.float32]) -> NDArray[np.float32]:
    at = np.arange(AGENT_TICK_SAMPLES) * (USER_TICK_SAMPLES / AGENT_TICK_SAMPLES)
    return np.interp(at, np.arange(USER_TICK_SAMPLES), block).astype(np.float32)
