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

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.config import SessionConfig as SessionConfig
from duplex_agent.duplex.events import Tick
from duplex_agent.duplex.floor import ASKED, Decision, Evidence, Floor, FloorState, Kind, transition
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.played import PlayedAudio
from duplex_agent.duplex.replies import Replies
from duplex_agent.duplex.requests import Detect, Encode, Request
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.duplex.timeline import Timeline
from duplex_agent.duplex.user_audio import checked
from duplex_agent.duplex.user_turn import TurnWords, UserTurn
from duplex_agent.duplex.vad import Vad, default_vad
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.errors import TextError
from duplex_agent.llm.protocol import Llm, Role, TurnPair
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker_llm import ThinkerLlm

NOTHING_UNDERSTOOD = "nothing understood"
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
        self._look_ahead_ticks = parts.ear.look_ahead_ticks
        self._config = config or SessionConfig()
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
        self._wish = {"respond": False, "cancel": False}  # of a client, for the next tick
        self._timeline = Timeline()
        self._replies = Replies(self._llm, parts.voice, self._config, seed, self._timeline)
        self.played = PlayedAudio()

    def close(self) -> None:
        """The conversation is over: nothing goes on for it anywhere."""
        self._replies.cancel()

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
        return self._replies.truncate(reply_id, heard_ms)

    def snapshot(self, model: str, played_ms: int | None = None) -> Snapshot:
        """What another worker needs to go on; ``model`` names the LLM.

        A reply in progress is part of it as far as it was heard at session time ``played_ms``, by
        default up to now; a user turn in progress as text without a reply.
        """
        pairs = self.pairs
        answering = self._replies.in_progress(self.now_ms if played_ms is None else played_ms)
        if answering is not None:
            pairs.append(answering)
        elif self._record.user_text.strip():
            pairs.append(TurnPair(self._record.user_text, "", "user"))
        return Snapshot(
            model=model,
            instructions=self._llm.instructions,
            pairs=pairs,
            reply_id=self._replies.number,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on with a conversation that began elsewhere; only before the first tick.

        Its turns are read as text, a bounded piece in each tick.
        """
        if snapshot.instructions != self._llm.instructions:
            self._llm.set_instructions(snapshot.instructions)
        for pair in snapshot.pairs:
            self._llm.add_pair(pair)
        self._replies.number = snapshot.reply_id

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
        if played_ms is None:
            played_ms = self.now_ms + TICK_MS - self._config.playout_delay_ms
        answered, self._answered = self._answered, False
        speech: float = yield Detect(self._vad, pcm)
        hearing: Hearing = yield Encode(self._ear, pcm, finalize=answered)
        self._decide(self._evidence(speech, hearing), played_ms)
        self._record.prefill(self._config.read_per_tick)
        self._hear(hearing)
        if not self._replies.replying:
            yield from self._prepare(hearing)
        replying = self._replies.replying
        agent_pcm = yield from self._replies.speak(self._floor.tick)
        if replying and not self._replies.replying:
            self._turn = None  # it was answered to the end
        yield from self._record.edits()
        self.played.push(agent_pcm)
        return Tick(agent_pcm, self._timeline.take())

    # the floor

    def _evidence(self, speech: float, hearing: Hearing) -> Evidence:
        over, self._replies.over = self._replies.over, None
        wish, self._wish = self._wish, {"respond": False, "cancel": False}
        return Evidence(
            speech,
            read_until=self._floor.tick - self._look_ahead_ticks,
            settled=hearing.settled,
            voice_over=over,
            **wish,
        )

    def _decide(self, evidence: Evidence, played_ms: int) -> None:
        before = self._floor.floor
        self._floor, decisions = transition(self._floor, evidence, self._config.floor)
        self._timeline.now_ms = self.now_ms
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
            self._timeline.emit(
                "floor.changed",
                floor=self._floor.floor.value,
                previous=before.value,
                reason=reason,
            )

    def _open_turn(self, decision: Decision) -> None:
        self._timeline.emit("user.speech_started", start_ms=decision.tick * TICK_MS)
        if self._turn is None:
            self._turn = UserTurn(decision.tick - self._config.preroll_ticks)
        else:
            # The person went on before any of the reply was heard: it is still their turn.
            self._turn = UserTurn(self._turn.first)

    def _drop_turn(self, decision: Decision) -> None:
        self._timeline.emit("user.speech_stopped", end_ms=(decision.tick + 1) * TICK_MS)
        self._replies.drop_speculation()
        self._record.forget_user()
        self._turn = None

    def _end_turn(self, decision: Decision) -> None:
        assert self._turn is not None
        self._timeline.emit("user.speech_stopped", end_ms=(decision.tick + 1) * TICK_MS)
        self._turn = UserTurn(self._turn.first, decision.tick, decision.reason)

    def _open_reply_turn(self, decision: Decision) -> None:
        """A reply to nothing that was said: its turn is this moment."""
        self._turn = UserTurn(decision.tick, decision.tick - 1, decision.reason)

    def _interrupt(self, played_ms: int, status: str) -> None:
        if not self._replies.replying:  # still waiting for the last words of the turn
            self._replies.over = WENT_ON
            return
        self.played.flush(played_ms)
        if self._replies.stop(played_ms, status, keep=status == "cancelled"):
            self._turn = None

    # hearing

    def _hear(self, hearing: Hearing) -> None:
        """Give the LLM the words of the open turn."""
        if hearing.words or hearing.revised:
            self._replies.drop_speculation()
        # A CTC character in the silence unsettles the ear for a while and seldom belongs to a word.
        went_on = self._floor.speaking or hearing.words
        self._understood = hearing.settled or (self._understood and not went_on)
        turn = None if self._replies.replying else self._turn
        first = None if turn is None else turn.first
        self._words, revised, words = self._words.sort(hearing, first, self._floor.tick)
        if revised:
            text = "".join(word.text for word in revised)
            self._record.revise(sum(len(word.embeddings) for word in revised), len(text))
            self._timeline.emit("user.transcript.revised", text=text, words=len(revised))
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
            self._timeline.emit(
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
            yield from self._replies.speculate()

    def _pauses(self) -> bool:
        """Whether the user has said something, is silent now, and all of it was understood."""
        understood = self._understood and not self._floor.speaking
        return understood and bool(self._record.user_text.strip())

    def _begin_reply(self) -> None:
        turn = self._turn
        assert turn is not None
        assert turn.last is not None
        text = self._record.user_text
        self._timeline.emit(
            "user.turn_ended",
            text=text.strip(),
            end_ms=(turn.last + 1) * TICK_MS,
            reason=turn.reason,
        )
        if not text.strip() and turn.reason != ASKED:
            self._turn = None
            self._replies.over = NOTHING_UNDERSTOOD
            self._record.forget_user()
            return
        self._answered = True
        self._replies.begin(turn_end_ms=(turn.last + 1) * TICK_MS)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(f"text with half a character: {error.reason}") from error
    return text
