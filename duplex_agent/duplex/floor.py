"""Who may speak: a pure state machine on the tick clock. No torch, no sound, no wall clock.

    listening --turn ended--> replying --barge-in--> yielding --voice silent--> listening
        ^                        |
        +------ reply over ------+

Inside ``listening`` and ``yielding`` a user turn may be open. Speech that has not lasted long
enough to be believed (a click, a cough) opens none, and a turn with too little speech in it is
dropped unanswered. While the agent replies, only sustained speech takes the floor.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto

from duplex_agent.clock import TICK_MS

ASKED = "a client asked for a reply"
CANCELLED = "a client cancelled the reply"


class Floor(StrEnum):
    LISTENING = "listening"
    REPLYING = "replying"
    YIELDING = "yielding"


class Kind(Enum):
    """What the floor can decide in a tick."""

    TURN_STARTED = auto()
    TURN_DROPPED = auto()
    TURN_ENDED = auto()  # the agent is to reply now
    BARGED_IN = auto()  # the agent is to stop and flush now
    REPLY_ASKED = auto()  # the agent is to reply now, although nobody spoke
    REPLY_CANCELLED = auto()  # the agent is to stop and flush now, nobody spoke
    REPLY_ENDED = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. ``tick``: the first tick of the speech for a start, the last for an end."""

    kind: Kind
    reason: str
    tick: int


@dataclass(frozen=True, slots=True)
class FloorConfig:
    """Thresholds of the speech probability and durations in ms (rounded up to ticks)."""

    speech_on: float = 0.5
    speech_off: float = 0.35
    start_ms: int = 160
    end_silence_ms: int = 560
    barge_in_ms: int = 240
    min_turn_ms: int = 240
    max_turn_ms: int = 30_000
    words_wait_ms: int = 800  # the last words of a turn are waited for no longer than this

    def __post_init__(self) -> None:
        if not 0 < self.speech_off <= self.speech_on <= 1:
            raise ValueError("thresholds must be 0 < speech_off <= speech_on <= 1")
        if min(self.start_ms, self.end_silence_ms, self.barge_in_ms, self.min_turn_ms) < 1:
            raise ValueError("floor durations must be positive")
        if self.max_turn_ms < self.start_ms:
            raise ValueError("the longest turn must be longer than the start of speech")
        if self.min_turn_ms > self.barge_in_ms:
            raise ValueError("what interrupts a reply must be long enough to be a turn")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known in this tick: of the user's sound, of the agent's voice, and what was asked.

    ``speech``: probability that the user speaks. ``read_until``: the last tick whose sound the
    ear has read, ``settled``: no word up to there waits for more sound.
    ``voice_over``: why the reply that was running has nothing left to say or never will have, None
    while it may have. Ignored while listening.
    ``respond``, ``cancel``: a client asks for a reply, or for the end of the one in progress.
    """

    speech: float
    read_until: int = -1
    settled: bool = True
    voice_over: str | None = None
    respond: bool = False
    cancel: bool = False


@dataclass(frozen=True, slots=True)
class FloorState:
    """Everything the floor remembers. ``tick`` is the number of the tick to come."""

    floor: Floor = Floor.LISTENING
    tick: int = 0
    speaking: bool = False  # this moment's opinion, with hysteresis
    speech_run: int = 0  # ticks of unbroken speech up to now
    silence_run: int = 0
    turn_start: int | None = None  # first tick of the open user turn
    turn_speech: int = 0  # ticks with speech in it, or in the last one
    last_speech: int = -1  # last tick with speech
    # of the reply in progress, or the last one
    deaf: bool = False  # speech that ran into it when it was forced does not interrupt it
    turn_end: int | None = None  # last tick with speech of the turn that it answers
    words_in: bool = False  # nothing more is waited for before it


def ticks(duration_ms: int) -> int:
    """Ticks that last at least ``duration_ms``."""
    return -(-duration_ms // TICK_MS)


def transition(
    state: FloorState, evidence: Evidence, config: FloorConfig
) -> tuple[FloorState, list[Decision]]:
    """Advance by one tick. The same state and evidence always give the same answer."""
    decisions: list[Decision] = []
    state = _listen(state, evidence.speech, config)
    if state.floor is not Floor.LISTENING and evidence.voice_over is not None:
        decisions.append(Decision(Kind.REPLY_ENDED, evidence.voice_over, state.tick))
        # speech that a forced reply ran into starts to count only now
        run = 0 if state.deaf else state.speech_run
        state = replace(state, floor=Floor.LISTENING, speech_run=run)
    if state.floor is Floor.REPLYING:
        state = _reply(state, evidence, config, decisions)
    elif evidence.respond and state.floor is Floor.LISTENING:
        state = _respond(state, decisions)
    elif state.turn_start is None:
        state = _wait(state, config, decisions)
    elif state.floor is Floor.LISTENING:
        state = _follow_turn(state, config, decisions)
    words_in = _words_are_in(state, evidence, config)
    return replace(state, words_in=words_in, tick=state.tick + 1), decisions


def _listen(state: FloorState, speech: float, config: FloorConfig) -> FloorState:
    """Fold this tick's speech probability into the counters."""
    speaking = speech >= (config.speech_off if state.speaking else config.speech_on)
    if not speaking:
        return replace(
            state, speaking=False, speech_run=0, silence_run=state.silence_run + 1, deaf=False
        )
    return replace(
        state,
        speaking=True,
        speech_run=state.speech_run + 1,
        silence_run=0,
        turn_speech=state.turn_speech + (state.turn_start is not None),
        last_speech=state.tick,
    )


def _open_turn(state: FloorState) -> FloorState:
    return replace(
        state, turn_start=state.tick - state.speech_run + 1, turn_speech=state.speech_run
    )


def _close_turn(state: FloorState) -> FloorState:
    # speech that goes on belongs to what comes next, from here
    return replace(state, turn_start=None, speech_run=0)


def _wait(state: FloorState, config: FloorConfig, decisions: list[Decision]) -> FloorState:
    if state.speech_run < ticks(config.start_ms):
        return state
    state = _open_turn(state)
    assert state.turn_start is not None
    reason = f"speech for {state.speech_run * TICK_MS} ms"
    decisions.append(Decision(Kind.TURN_STARTED, reason, state.turn_start))
    return state


def _follow_turn(state: FloorState, config: FloorConfig, decisions: list[Decision]) -> FloorState:
    assert state.turn_start is not None
    silence = state.silence_run >= ticks(config.end_silence_ms)
    too_long = state.tick - state.turn_start + 1 >= ticks(config.max_turn_ms)
    if not silence and not too_long:
        return state
    if state.turn_speech < ticks(config.min_turn_ms):
        reason = f"only {state.turn_speech * TICK_MS} ms of speech"
        decisions.append(Decision(Kind.TURN_DROPPED, reason, state.last_speech))
        return _close_turn(state)
    reason = (
        f"silence for {state.silence_run * TICK_MS} ms"
        if silence
        else f"the turn reached {config.max_turn_ms // 1000} s"
    )
    return _end_turn(state, reason, decisions)


def _end_turn(state: FloorState, reason: str, decisions: list[Decision]) -> FloorState:
    decisions.append(Decision(Kind.TURN_ENDED, reason, state.last_speech))
    return replace(
        _close_turn(state),
        floor=Floor.REPLYING,
        deaf=state.speaking,
        turn_end=state.last_speech,
    )


def _respond(state: FloorState, decisions: list[Decision]) -> FloorState:
    """A client wants the reply now: to what is being said, or to what was written."""
    if state.turn_start is not None:
        return _end_turn(state, ASKED, decisions)
    decisions.append(Decision(Kind.REPLY_ASKED, ASKED, state.tick))
    return replace(state, floor=Floor.REPLYING, deaf=state.speaking, turn_end=None)


def _words_are_in(state: FloorState, evidence: Evidence, config: FloorConfig) -> bool:
    """Whether the ear has given the last words of the turn that ended."""
    if state.turn_end is None:
        return True
    behind = evidence.read_until - state.turn_end
    return behind >= ticks(config.words_wait_ms) or (behind >= 0 and evidence.settled)


def _reply(
    state: FloorState, evidence: Evidence, config: FloorConfig, decisions: list[Decision]
) -> FloorState:
    if evidence.cancel:
        decisions.append(Decision(Kind.REPLY_CANCELLED, CANCELLED, state.tick))
        return replace(state, floor=Floor.LISTENING)
    if state.deaf or state.speech_run < ticks(config.barge_in_ms):
        return state
    state = _open_turn(state)
    assert state.turn_start is not None
    reason = f"user spoke for {state.speech_run * TICK_MS} ms over the reply"
    decisions.append(Decision(Kind.BARGED_IN, reason, state.turn_start))
    decisions.append(Decision(Kind.TURN_STARTED, reason, state.turn_start))
    return replace(state, floor=Floor.YIELDING)
