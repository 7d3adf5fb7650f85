"""The session: plans every tick of one conversation, and computes none of it.

A tick takes 80 ms of the user and gives 80 ms of the agent with what happened meanwhile. It is a
generator of requests: it observes (voice detector and ear), plans (floor, words, drafts) and asks
for what the plan needs (edits of the cache, tokens, sound). No sockets, no threads, no networks, no
clock: the same samples and the same answers give the same conversation, live or from a file.

Times on the timeline are those of a listener: tick t has heard the user up to (t + 1) * 80 ms, and
what it decides and says begins there.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS, USER_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig as SessionConfig
from duplex_agent.duplex.draft import Draft
from duplex_agent.duplex.events import Event, Tick
from duplex_agent.duplex.floor import ASKED, Decision, Evidence, Floor, FloorState, Kind, transition
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.played import PlayedSound
from duplex_agent.duplex.requests import Detect, Encode, Request
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.duplex.user_turn import TurnWords, UserTurn
from duplex_agent.duplex.vad import Vad, default_vad
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.errors import AudioError, TextError
from duplex_agent.llm.protocol import Heard, Llm, Role, TurnPair
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker_llm import ThinkerLlm

NOTHING_UNDERSTOOD = "nothing understood"
NOTHING_TO_SAY = "nothing to say"
SAID_EVERYTHING = "said everything"
NO_MORE_TEXT = "the text of the reply could not be had"
WENT_ON = "the user went on"

OpenLlm = Callable[[LlmSettings], Llm]
Steps = Generator[Request, Any, Tick]


class DuplexSession:
    """The plan of one conversation with the agent.

    ``steps`` is a tick; the methods beside it tell the agent things between two ticks; ``pairs``
    is what it remembers. ``open_llm`` gives the LLM of a new conversation; without it the parts'
    own thinker is asked. Raises AssetError when the voice detector cannot be had and ContextFull
    when the configured system prompt is too long.
    """

    def __init__(
        self,
        parts: FlowOmni | EarAndVoice,
        config: SessionConfig | None = None,
        seed: int = 0,
        vad: Vad | None = None,
        open_llm: OpenLlm | None = None,
    ) -> None:
        self._voice = parts.voice
        self._look_ahead_ticks = parts.ear.look_ahead_ticks
        self._config = config or SessionConfig()
        self._seed = seed
        self._vad = vad or default_vad()
        if open_llm is None:
            assert isinstance(parts, FlowOmni)
            open_llm = partial(ThinkerLlm, parts.thinker, seed=seed)
        self._ear: Any = parts.ear.new_state()
        self._llm = open_llm(self._config.llm)
        self._record = self._llm.record
        self._floor = FloorState()
        self._turn: UserTurn | None = None
        self._words = TurnWords()
        self._understood = False  # everything that was said before this silence
        self._answered = False  # what the ear gave is being answered, which it has to be told
        self._draft: Draft | None = None
        self._replying = False  # the draft has the floor; before that it is speculative
        self._fading: Draft | None = None  # a voice that was stopped in this tick
        self._latest: Draft | None = None  # the reply that was closed last
        self._reply_id = 0
        self._voice_over: str | None = None  # why the floor's reply has ended, for the next tick
        self._wish = {"respond": False, "cancel": False}  # of a client, for the next tick
        self._events: list[Event] = []
        self.played = PlayedSound()

    def close(self) -> None:
        """The conversation is over: nothing goes on for it anywhere."""
        if self._draft is not None:
            self._draft.cancel()

    def set_instructions(self, text: str) -> None:
        """Another system prompt, from the next turn on; what was said before stays known.

        Raises TextError for text that is no Unicode and ContextFull, with the limit, for text that
        is too long: nothing has changed then.
        """
        self._llm.set_instructions(_encodable(text))

    def add_text_turn(self, role: Role, text: str) -> None:
        """Put a turn of text into the conversation; it asks for no reply.

        It stands behind everything said so far, or behind the turn in progress once that is over.
        Raises TextError for another role or empty text and ContextFull, with the limit, for text
        that is too long: nothing has changed then.
        """
        if role not in ("user", "assistant"):
            raise TextError(f"a turn of text is the user's or the assistant's, not {role!r}'s")
        if not text.strip():
            raise TextError("a turn of text holds no text")
        self._llm.add_text_turn(role, _encodable(text))

    def respond(self) -> None:
        """Reply in the next tick, to what is being said or to what was written."""
        self._wish["respond"] = True

    def cancel(self) -> None:
        """End the reply in progress in the next tick; what was heard of it is remembered."""
        self._wish["cancel"] = True

    def truncate(self, reply_id: int, heard_ms: int) -> str:
        """The listener heard only ``heard_ms`` of the latest reply; gives the text that stays.

        Raises TextError when that reply is not the latest one or is still being spoken.
        """
        latest = self._latest
        if latest is None or self._replying or reply_id != self._reply_id:
            raise TextError(f"reply {reply_id} is not the latest finished one")
        self._drop_speculation()
        heard = latest.heard(latest.first_tick * TICK_MS + heard_ms)
        self._record.shorten_reply(heard.tokens, heard.text)
        return heard.text

    def snapshot(self, model: str, played_ms: int | None = None) -> Snapshot:
        """What another worker needs to go on; ``model`` names the LLM.

        A reply in progress is part of it as far as it was heard at session time ``played_ms``, by
        default up to now; a user turn in progress as text without a reply.
        """
        pairs = self.pairs
        if self._draft is not None and self._replying:
            heard = self._draft.heard(self.now_ms if played_ms is None else played_ms)
            pairs.append(TurnPair(self._record.user_text, heard.text))
        elif self._record.user_text.strip():
            pairs.append(TurnPair(self._record.user_text, "", "user"))
        return Snapshot(
            model=model,
            instructions=self._llm.instructions,
            pairs=pairs,
            reply_id=self._reply_id,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on with a conversation that began elsewhere; only before the first tick.

        Its turns are read as text, a bounded piece in each tick.
        """
        if snapshot.instructions != self._llm.instructions:
            self._llm.set_instructions(snapshot.instructions)
        for pair in snapshot.pairs:
            self._llm.add_pair(pair)
        self._reply_id = snapshot.reply_id

    @property
    def pairs(self) -> list[TurnPair]:
        """What the agent remembers, oldest first."""
        return list(self._record.pairs)

    @property
    def now_ms(self) -> int:
        """How much of the user's sound has been heard."""
        return self._floor.tick * TICK_MS

    def steps(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Steps:
        """Take 80 ms of the user (float32 [1280], 16 kHz) and give 80 ms of the agent.

        ``played_ms``: up to which time of the session the agent's sound has left the speaker;
        by default everything up to ``config.playout_delay_ms`` ago.
        Raises AudioError for a wrong shape, NaN or infinite samples: nothing has happened then
        and the session can be used on.
        """
        pcm = checked(user_pcm)
        self._events = []
        if played_ms is None:
            played_ms = self.now_ms + TICK_MS - self._config.playout_delay_ms
        answered, self._answered = self._answered, False
        speech: float = yield Detect(self._vad, pcm)
        hearing: Hearing = yield Encode(self._ear, pcm, commit=answered)
        self._decide(self._evidence(speech, hearing), played_ms)
        if not self._replying:
            self._record.prefill(self._config.read_per_tick)
        self._hear(hearing)
        if not self._replying:
            yield from self._prepare(hearing)
        agent_pcm = yield from self._speak()
        yield from self._record.edits()
        self.played.push(agent_pcm)
        return Tick(agent_pcm, tuple(self._events))

    # the floor

    def _evidence(self, speech: float, hearing: Hearing) -> Evidence:
        over, self._voice_over = self._voice_over, None
        wish, self._wish = self._wish, {"respond": False, "cancel": False}
        return Evidence(
            speech,
            read_until=self._floor.tick - self._look_ahead_ticks,
            settled=hearing.settled,
            voice_over=over is not None,
            why=over or "",
            **wish,
        )

    def _decide(self, evidence: Evidence, played_ms: int) -> None:
        before = self._floor.floor
        self._floor, decisions = transition(self._floor, evidence, self._config.floor)
        act: dict[Kind, Callable[[Decision], None]] = {
            Kind.TURN_STARTED: self._open_turn,
            Kind.TURN_DROPPED: self._drop_turn,
            Kind.TURN_ENDED: self._end_turn,
            Kind.BARGED_IN: lambda decision: self._interrupt(played_ms, "interrupted"),
            Kind.REPLY_ASKED: self._open_reply_turn,
            Kind.REPLY_CANCELLED: lambda decision: self._interrupt(played_ms, "cancelled"),
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
            self._turn = UserTurn(max(decision.tick - self._config.preroll_ticks, 0))
        else:
            # The person went on before any of the reply was heard: it is still their turn.
            self._turn = UserTurn(self._turn.first)

    def _drop_turn(self, decision: Decision) -> None:
        self._emit("user.speech_stopped", end_ms=(decision.tick + 1) * TICK_MS)
        self._drop_speculation()
        self._record.forget_user()
        self._turn = None

    def _end_turn(self, decision: Decision) -> None:
        assert self._turn is not None
        self._emit("user.speech_stopped", end_ms=(decision.tick + 1) * TICK_MS)
        self._turn = UserTurn(self._turn.first, decision.tick, decision.reason)

    def _open_reply_turn(self, decision: Decision) -> None:
        """A reply to nothing that was said: its turn is this moment."""
        self._turn = UserTurn(decision.tick, decision.tick - 1, decision.reason)

    def _interrupt(self, played_ms: int, status: str) -> None:
        draft = self._draft
        if draft is None or not self._replying:  # still waiting for the last words of the turn
            self._voice_over = WENT_ON
            return
        heard = draft.heard(played_ms)
        if heard.text or status == "cancelled":
            self._close_turn(draft, heard)
        else:
            draft.roll_back()
        if draft.speaking:
            self._fading = draft
            self.played.flush(played_ms)
            self._emit("playback.flush", reply_id=self._reply_id)
            self._emit_done(status, heard.text)
        self._draft, self._replying = None, False
        self._voice_over = status

    # hearing

    def _hear(self, hearing: Hearing) -> None:
        """Give the LLM the words of the open turn."""
        if hearing.words or hearing.taken_back:
            self._drop_speculation()
        # A letter heard in the silence unsettles the ear for a while and is seldom one of a word.
        went_on = self._floor.speaking or hearing.words
        self._understood = hearing.settled or (self._understood and not went_on)
        turn = None if self._replying else self._turn
        first = None if turn is None else turn.first
        self._words, revised, words = self._words.sort(hearing, first, self._floor.tick)
        if revised:
            text = "".join(word.text for word in revised)
            self._record.revise(sum(len(word.embeddings) for word in revised), len(text))
            self._emit("user.transcript.taken_back", text=text, words=len(revised))
        if words:
            self._take(words)

    def _take(self, words: tuple[HeardWord, ...]) -> None:
        room = self._record.room - self._config.llm.reply_positions
        ends = np.cumsum([len(word.embeddings) for word in words])
        words = words[: int(np.searchsorted(ends, room, "right"))]
        if not words:
            return
        embeddings = np.concatenate([word.embeddings for word in words])
        self._record.hear(embeddings, "".join(word.text for word in words))
        for word in words:
            self._emit(
                "user.transcript.delta",
                text=word.text,
                start_ms=word.first_tick * TICK_MS,
                end_ms=(word.last_tick + 1) * TICK_MS,
            )

    # replying

    def _prepare(self, hearing: Hearing) -> Generator[Request, Any, None]:
        """Read what was heard, begin the reply when the floor says so, or speculate before."""
        # Only a pause is urgent: while the user talks on, one piece a tick is enough.
        if hearing.words and hearing.settled:
            self._record.prefill(self._config.read_per_tick)
        if not self._record.ready:
            return
        if self._floor.floor is Floor.REPLYING:
            if self._floor.words_in:
                self._begin_reply()
        elif self._llm.speculates and self._pauses() and not hearing.words:
            if self._draft is None:
                self._draft = self._new_draft()
            else:
                yield from self._record.edits()
                yield from self._draft.think(self.now_ms)

    def _pauses(self) -> bool:
        """Whether the user has said something, is silent now, and all of it was understood."""
        understood = self._understood and not self._floor.speaking
        return understood and self._turn is not None and bool(self._record.user_text.strip())

    def _new_draft(self) -> Draft:
        stream = self._voice.start(self._seed + self._reply_id + 1)
        return Draft(self._llm, stream, self._config, self.now_ms)

    def _drop_speculation(self) -> None:
        """The user goes on: the speculative reply is not the answer."""
        if self._draft is not None and not self._replying:
            self._draft.roll_back()
            self._draft = None

    def _begin_reply(self) -> None:
        turn = self._turn
        assert turn is not None
        assert turn.last is not None
        text = self._record.user_text
        self._emit(
            "user.turn_ended",
            text=text.strip(),
            end_ms=(turn.last + 1) * TICK_MS,
            reason=turn.reason,
        )
        if not text.strip() and turn.reason != ASKED:
            self._turn = None
            self._voice_over = NOTHING_UNDERSTOOD
            self._record.forget_user()
            return
        self._answered = True
        self._draft, self._replying = self._draft or self._new_draft(), True
        self._reply_id += 1

    def _speak(self) -> Generator[Request, Any, NDArray[np.float32]]:
        """This tick's sound, and the events of the reply."""
        sound = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)
        fading, self._fading = self._fading, None
        if fading is not None:
            sound = yield from fading.fade()
        draft = self._draft
        if draft is None or not self._replying:
            return sound
        had_problem, was_speaking = bool(draft.problem), draft.speaking
        yield from self._record.edits()
        yield from draft.think(self.now_ms)
        if draft.problem and not had_problem:
            self._emit("error", message=draft.problem)
        sound = yield from draft.speak(self._floor.tick)
        if draft.speaking and not was_speaking:
            self._emit_started()
        if draft.speaking:
            self._emit_text(draft)
        if left_out := draft.left_out():
            self._emit("reply.left_out", reply_id=self._reply_id, words=left_out)
        if draft.over:
            self._finish(draft)
        return sound

    def _finish(self, draft: Draft) -> None:
        if draft.speaking:
            heard = draft.heard()
            self._close_turn(draft, heard)
            self._emit_done("failed" if draft.problem else "completed", heard.text)
        else:
            self._close_turn(draft, Heard(0, ""))
        self._draft, self._replying = None, False
        said = SAID_EVERYTHING if draft.speaking else NOTHING_TO_SAY
        self._voice_over = NO_MORE_TEXT if draft.problem else said

    def _close_turn(self, draft: Draft, heard: Heard) -> None:
        draft.commit(heard)
        self._turn = None
        self._latest = draft

    # the timeline

    def _emit(self, type_: str, **data: Any) -> None:
        self._events.append(Event(type_, self.now_ms, data))

    def _emit_started(self) -> None:
        assert self._turn is not None
        assert self._turn.last is not None
        response_ms = self.now_ms - (self._turn.last + 1) * TICK_MS
        self._emit("reply.started", reply_id=self._reply_id, response_ms=response_ms)

    def _emit_text(self, draft: Draft) -> None:
        """What was written since the last tick, and what was voiced."""
        if text := draft.new_text():
            self._emit("reply.text.delta", reply_id=self._reply_id, text=text)
        if text := draft.new_speech():
            self._emit("reply.spoken.delta", reply_id=self._reply_id, text=text)

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
