"""The tick: 80 ms of the user in, 80 ms of the agent and its events out. This *is* the agent.

Each tick runs the voice detectors, the floor, the ear, the thinker and the voice, in this order.
No sockets, no threads, and no clock but the one that measures its own cost: the same samples give
the same conversation, live or from a file.

Times on the timeline are those of a listener: tick t has heard the user up to (t + 1) * 80 ms, and
what it decides and says begins there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS, USER_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig as SessionConfig
from duplex_agent.duplex.events import Event, Tick
from duplex_agent.duplex.floor import Decision, Floor, FloorState, Inputs, Kind, transition
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.reply import Reply
from duplex_agent.duplex.turn_words import TurnWords
from duplex_agent.duplex.vad import MixedVad, SileroVad, Vad, WebRtcVad, load_silero
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.errors import AudioError, TextError
from duplex_agent.llm.mind import Exchanged, Mind, Role
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker_mind import ThinkerMind

NOTHING_UNDERSTOOD = "nothing understood"
NOTHING_TO_SAY = "nothing to say"
SAID_EVERYTHING = "said everything"
NO_MORE_TEXT = "the text of the reply could not be had"

OpenMind = Callable[[LlmSettings], Mind]


@dataclass
class _UserTurn:
    """A user turn in progress, in ticks. ``last`` is its last tick with speech, once it ended."""

    first: int
    last: int | None = None
    reason: str = ""


class DuplexSession:
    """One conversation with the agent.

    ``tick`` is the agent; ``set_instructions`` and ``add_text_turn`` tell it things in writing,
    between two ticks; ``exchanges`` is what it remembers. ``vad`` and ``timer`` (seconds)
    can be replaced. ``open_mind`` gives the mind of a new conversation; without it the model's
    own thinker is asked. Raises AssetError when the voice detector cannot be had.
    """

    def __init__(
        self,
        model: FlowOmni | EarAndVoice,
        config: SessionConfig | None = None,
        seed: int = 0,
        vad: Vad | None = None,
        timer: Callable[[], float] = time.perf_counter,
        open_mind: OpenMind | None = None,
    ) -> None:
        self._model = model
        self._config = config or SessionConfig()
        self._seed = seed
        self._vad = vad or default_vad()
        self._timer = timer
        if open_mind is None:
            assert isinstance(model, FlowOmni)
            open_mind = partial(ThinkerMind, model.thinker, seed=seed)
        self._open_mind = open_mind
        self._reply: Reply | None = None
        self._ahead: Reply | None = None
        self.reset()

    def reset(self) -> None:
        """Begin a new conversation at time zero."""
        self.close()
        self._vad.reset()
        self._ear: Any = self._model.ear.new_state()
        self._mind: Mind = self._open_mind(self._config.llm)
        self._memory = self._mind.memory
        self._floor = FloorState()
        self._turn: _UserTurn | None = None
        self._words = TurnWords()
        self._all_heard = True
        self._understood = False  # everything that was said before this silence
        self._reply = None
        self._ahead = None  # begun in a pause that may not be the end of the turn
        self._reply_id = 0
        self._unsent = ""  # reply text from before its voice began
        self._said = 0  # characters reported as spoken
        self._last_sound: NDArray[np.float32] | None = None  # the fade of a stopped voice
        self._voice_over: str | None = None  # why the floor's reply has ended, for the next tick
        self._events: list[Event] = []

    def close(self) -> None:
        """The conversation is over: nothing goes on for it anywhere."""
        for reply in (self._reply, self._ahead):
            if reply is not None:
                reply.cancel()

    def set_instructions(self, text: str) -> None:
        """Another system prompt, from the next turn on; what was said before stays known.

        ``reset`` goes back to the configured one. Raises TextError for text that is no Unicode and
        ContextFull, with the limit, for text that is too long: nothing has changed then.
        """
        self._mind.set_instructions(_encodable(text))

    def add_text_turn(self, role: Role, text: str) -> None:
        """Put a turn of text into the conversation; it asks for no reply.

        It stands behind everything said so far, or behind the exchange in progress once that is
        over. Raises TextError for another role or empty text and ContextFull, with the limit, for
        text that is too long: nothing has changed then.
        """
        if role not in ("user", "assistant"):
            raise TextError(f"a turn of text is the user's or the assistant's, not {role!r}'s")
        if not text.strip():
            raise TextError("a turn of text holds no text")
        self._mind.add_text_turn(role, _encodable(text))

    @property
    def exchanges(self) -> list[Exchanged]:
        """What the agent remembers, oldest first."""
        return list(self._memory.exchanges)

    @property
    def now_ms(self) -> int:
        """How much of the user's sound has been heard."""
        return self._floor.tick * TICK_MS

    def tick(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Tick:
        """Take 80 ms of the user (float32 [1280], 16 kHz) and answer with 80 ms of the agent.

        ``played_ms``: up to which time of the session the agent's sound has left the speaker;
        by default everything up to ``config.playout_delay_ms`` ago.
        Raises AudioError for a wrong shape, NaN or infinite samples: nothing has happened then
        and the session can be used on.
        """
        pcm = checked(user_pcm)
        started = self._timer()
        self._events = []
        if played_ms is None:
            played_ms = self.now_ms + TICK_MS - self._config.playout_delay_ms
        self._decide(self._vad.step(pcm), played_ms)
        if self._reply is None:
            self._memory.tidy(self._config.read_per_tick)
        hearing = self._model.ear.step(self._ear, pcm)
        self._hear(hearing)
        if self._reply is None:
            self._think(hearing)
        agent_pcm = self._speak()
        cost_ms = round((self._timer() - started) * 1000, 2)
        self._emit("tick.compute", compute_ms=cost_ms)
        return Tick(agent_pcm, tuple(self._events))

    # the floor

    def _decide(self, speech: float, played_ms: int) -> None:
        before = self._floor.floor
        inputs = Inputs(speech, self._voice_over is not None, self._voice_over or "")
        self._voice_over = None
        self._floor, decisions = transition(self._floor, inputs, self._config.floor)
        act = {
            Kind.TURN_STARTED: self._open_turn,
            Kind.TURN_DROPPED: self._drop_turn,
            Kind.TURN_ENDED: self._end_turn,
            Kind.BARGED_IN: lambda decision: self._interrupt(played_ms),
            Kind.REPLY_ENDED: lambda decision: None,
        }
        for decision in decisions:
            act[decision.kind](decision)
        if self._floor.floor is not before:
            reason = decisions[0].reason  # what ends comes before what begins
            self._emit(
                "floor.changed",
                floor=self._floor.floor.value,
                previous=before.value,
                reason=reason,
            )

    def _open_turn(self, decision: Decision) -> None:
        self._emit("user.speech_started", start_ms=decision.tick * TICK_MS)
        if self._turn is None:
            self._turn = _UserTurn(max(decision.tick - self._config.preroll_ticks, 0))
        else:
            # The person went on before any of the reply was heard: it is still their turn.
            self._turn.last = None

    def _drop_turn(self, decision: Decision) -> None:
        self._emit("user.speech_stopped", end_ms=(decision.tick + 1) * TICK_MS)
        self._undo_ahead()
        self._memory.forget_user()
        self._turn = None

    def _end_turn(self, decision: Decision) -> None:
        assert self._turn is not None
        self._emit("user.speech_stopped", end_ms=(decision.tick + 1) * TICK_MS)
        self._turn.last = decision.tick
        self._turn.reason = decision.reason

    def _interrupt(self, played_ms: int) -> None:
        reply = self._reply
        if reply is None:  # still waiting for the last words of the turn
            self._voice_over = "the user went on"
            return
        reply.cancel()
        heard = reply.heard(played_ms)
        if heard.text:
            self._memory.end_reply(heard.tokens, heard.text)
            self._turn = None
        else:
            self._memory.undo_reply()
        if reply.speaking:
            self._last_sound = reply.fade()
            self._emit("playback.flush", reply_id=self._reply_id)
            self._emit_done("interrupted", heard.text)
        self._reply = None
        self._voice_over = "interrupted"

    # hearing

    def _hear(self, hearing: Hearing) -> None:
        """Give the mind the words of the open turn."""
        self._all_heard = hearing.settled
        if hearing.words or hearing.taken_back:
            self._undo_ahead()
        # A letter heard in the silence unsettles the ear for a while and is seldom one of a word.
        went_on = self._floor.speaking or hearing.words
        self._understood = hearing.settled or (self._understood and not went_on)
        turn = self._turn if self._reply is None else None
        first = None if turn is None else turn.first
        misheard, words = self._words.sort(hearing, first, self._floor.tick)
        if misheard:
            text = "".join(word.text for word in misheard)
            self._memory.take_back(sum(len(word.embeddings) for word in misheard), len(text))
            self._emit("user.transcript.taken_back", text=text, words=len(misheard))
        if words:
            self._take(words)

    def _take(self, words: list[HeardWord]) -> None:
        room = self._memory.room - self._config.llm.reply_positions
        ends = np.cumsum([len(word.embeddings) for word in words])
        words = words[: int(np.searchsorted(ends, room, "right"))]
        if not words:
            return
        embeddings = np.concatenate([word.embeddings for word in words])
        self._memory.hear(embeddings, "".join(word.text for word in words))
        for word in words:
            self._emit(
                "user.transcript.delta",
                text=word.text,
                start_ms=word.first_tick * TICK_MS,
                end_ms=(word.last_tick + 1) * TICK_MS,
            )

    def _settled(self) -> bool:
        """Whether the ear has given the last words of the turn that ended."""
        turn, config = self._turn, self._config
        assert turn is not None
        assert turn.last is not None
        behind = self._floor.tick - 1 - self._model.ear.look_ahead_ticks - turn.last
        return behind >= config.settle_max_ticks or (behind >= 0 and self._all_heard)

    # replying

    def _think(self, hearing: Hearing) -> None:
        """Read what was heard, begin the reply when the floor says so, or think of it before."""
        # Only a pause is urgent: while the user talks on, the ear's reading is enough for its tick.
        if hearing.words and hearing.settled:
            self._memory.tidy(self._config.read_per_tick)
        if not self._memory.ready:
            return
        if self._floor.floor is Floor.REPLYING:
            if self._settled():
                self._begin_reply()
        elif self._mind.thinks_ahead and self._pauses() and not hearing.words:
            if self._ahead is None:
                self._ahead = self._new_reply()
            else:
                self._ahead.think()

    def _pauses(self) -> bool:
        """Whether the user has said something, is silent now, and all of it was understood."""
        understood = self._understood and not self._floor.speaking
        return understood and self._turn is not None and bool(self._memory.user_text.strip())

    def _new_reply(self) -> Reply:
        stream = self._model.voice.start(self._seed + self._reply_id + 1)
        return Reply(self._mind.begin_reply(), stream, self._config)

    def _undo_ahead(self) -> None:
        """The user goes on: what was thought of is not the answer."""
        if self._ahead is not None:
            self._ahead.cancel()
            self._memory.undo_reply()
            self._ahead = None

    def _begin_reply(self) -> None:
        turn = self._turn
        assert turn is not None
        assert turn.last is not None
        text = self._memory.user_text
        self._emit(
            "user.turn_ended",
            text=text.strip(),
            end_ms=(turn.last + 1) * TICK_MS,
            reason=turn.reason,
        )
        if not text.strip():
            self._turn = None
            self._voice_over = NOTHING_UNDERSTOOD
            self._memory.forget_user()
            return
        self._model.ear.commit(self._ear)
        self._reply, self._ahead = self._ahead or self._new_reply(), None
        self._reply_id += 1
        self._unsent = self._reply.text
        self._said = 0

    def _speak(self) -> NDArray[np.float32]:
        """This tick's sound, and the events of the reply."""
        sound, self._last_sound = self._last_sound, None
        reply = self._reply
        if reply is not None:
            was_speaking, had_problem = reply.speaking, bool(reply.problem)
            self._unsent += reply.think()
            if reply.problem and not had_problem:
                self._emit("error", message=reply.problem)
            sound = reply.speak(self._floor.tick)
            if reply.speaking and not was_speaking:
                self._emit_started()
            if reply.speaking:
                self._emit_text(reply)
            if left_out := reply.left_out():
                self._emit("reply.left_out", reply_id=self._reply_id, words=left_out)
            if reply.over:
                self._finish_reply(reply)
        return np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32) if sound is None else sound

    def _finish_reply(self, reply: Reply) -> None:
        if reply.speaking:
            heard = reply.whole()
            self._memory.end_reply(heard.tokens, heard.text)
            self._emit_done("failed" if reply.problem else "completed", heard.text)
        else:
            self._memory.end_reply(0, "")
        self._reply = None
        self._turn = None
        said = SAID_EVERYTHING if reply.speaking else NOTHING_TO_SAY
        self._voice_over = NO_MORE_TEXT if reply.problem else said

    # the timeline

    def _emit(self, type_: str, **data: Any) -> None:
        self._events.append(Event(type_, self.now_ms, data))

    def _emit_started(self) -> None:
        assert self._turn is not None
        assert self._turn.last is not None
        response_ms = self.now_ms - (self._turn.last + 1) * TICK_MS
        self._emit("reply.started", reply_id=self._reply_id, response_ms=response_ms)

    def _emit_text(self, reply: Reply) -> None:
        """What was written since the last tick, and what was voiced."""
        if self._unsent:
            self._emit("reply.text.delta", reply_id=self._reply_id, text=self._unsent)
            self._unsent = ""
        voiced = reply.voiced()
        if len(voiced) > self._said:
            delta = voiced[self._said :]
            self._emit("reply.spoken.delta", reply_id=self._reply_id, text=delta)
            self._said = len(voiced)

    def _emit_done(self, status: str, heard_text: str) -> None:
        self._emit("reply.done", reply_id=self._reply_id, status=status, heard_text=heard_text)


def checked(user_pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """A tick of user sound clipped to -1..1. Raises AudioError when it cannot be used."""
    if not isinstance(user_pcm, np.ndarray) or user_pcm.shape != (USER_TICK_SAMPLES,):
        shape = getattr(user_pcm, "shape", type(user_pcm).__name__)
        raise AudioError(f"a tick takes float samples [{USER_TICK_SAMPLES}], got {shape}")
    if not np.issubdtype(user_pcm.dtype, np.floating):
        raise AudioError(f"a tick takes float samples in -1..1, got {user_pcm.dtype}")
    if not np.isfinite(user_pcm).all():
        raise AudioError("a tick holds NaN or infinite samples")
    return user_pcm.astype(np.float32).clip(-1.0, 1.0)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(f"text with half a character: {error.reason}") from error
    return text


def default_vad() -> Vad:
    """Silero decides; WebRTC's quicker end of speech outvotes Silero's tail of doubt."""
    return MixedVad([(0.75, SileroVad(_silero())), (0.25, WebRtcVad())])


@cache
def _silero() -> Any:
    return load_silero()
