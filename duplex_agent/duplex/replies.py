"""The agent's side of a conversation: drafts, of which one at a time has the floor.

A draft is speculative until the floor is the agent's. Then it is the reply: it is spoken to its
end, or stopped, and what was heard of it closes the turn in the record.
"""

from collections.abc import Generator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.draft import Draft
from duplex_agent.duplex.requests import Request
from duplex_agent.duplex.timeline import Timeline
from duplex_agent.errors import TextError
from duplex_agent.llm.protocol import Heard, Llm, TurnPair
from duplex_agent.voice.protocol import Voice

NOTHING_TO_SAY: Final = "nothing to say"
SAID_EVERYTHING: Final = "said everything"
NO_MORE_TEXT: Final = "the text of the reply could not be had"


class Replies:
    """Drafts, begins, speaks and ends replies.

    ``over``: why the reply has ended, until somebody takes note.
    """

    def __init__(
        self, llm: Llm, voice: Voice, config: SessionConfig, seed: int, timeline: Timeline
    ) -> None:
        self._llm = llm
        self._voice = voice
        self._config = config
        self._seed = seed
        self._timeline = timeline
        self._draft: Draft | None = None  # speculative
        self._reply: Draft | None = None  # has the floor
        self._fading: Draft | None = None  # a voice that was stopped in this tick
        self._latest: Draft | None = None  # the reply that was closed last
        self._turn_end_ms = 0  # of the turn that is answered
        self.number = 0  # of the latest reply
        self.over: str | None = None

    @property
    def replying(self) -> bool:
        """Whether a reply has the floor."""
        return self._reply is not None

    def speculate(self) -> Generator[Request, Any, None]:
        """Begin a draft in a pause, or write on."""
        if self._draft is None:
            self._draft = self._new_draft()
        else:
            yield from self._draft.think(self._timeline.now_ms)

    def drop_speculation(self) -> None:
        """The user goes on: what was drafted is not the answer."""
        if self._draft is not None:
            self._draft.roll_back()
            self._draft = None

    def begin(self, turn_end_ms: int) -> None:
        """The floor is the agent's: the draft becomes the reply to the turn that ended then."""
        self._reply, self._draft = self._draft or self._new_draft(), None
        self._turn_end_ms = turn_end_ms
        self.number += 1

    def speak(self, tick: int) -> Generator[Request, Any, NDArray[np.float32]]:
        """The sound [1920] of this tick of the session, and the events of the reply."""
        sound = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)
        fading, self._fading = self._fading, None
        if fading is not None:
            sound = yield from fading.fade()
        reply = self._reply
        if reply is None:
            return sound
        had_problem, was_speaking = bool(reply.problem), reply.speaking
        yield from reply.think(self._timeline.now_ms)
        if reply.problem and not had_problem:
            self._timeline.emit("error", message=reply.problem)
        sound = yield from reply.speak(tick)
        if reply.speaking and not was_speaking:
            response_ms = self._timeline.now_ms - self._turn_end_ms
            self._emit("reply.started", response_ms=response_ms)
        if reply.speaking:
            self._emit_text(reply)
        if left_out := reply.left_out():
            self._emit("reply.left_out", words=left_out)
        if reply.over:
            self._finish(reply)
        return sound

    def stop(self, played_ms: int, status: str, keep: bool) -> bool:
        """End the reply where playback has come, ``played_ms``; whether that closes the turn.

        Where nothing was heard, the user's turn is open again unless ``keep`` closes it.
        """
        reply = self._reply
        assert reply is not None
        heard = reply.heard(played_ms)
        closed = keep or bool(heard.text)
        if closed:
            self._close(reply, heard)
        else:
            reply.roll_back()
            self._reply = None
        if reply.speaking:
            self._fading = reply
            self._emit("playback.flush")
            self._emit("reply.done", status=status, heard_text=heard.text)
        self.over = status
        return closed

    def truncate(self, number: int, heard_ms: int) -> str:
        """The listener heard only ``heard_ms`` of the latest reply; gives the text that stays.

        Raises TextError when that reply is not the latest one or is still being spoken.
        """
        if self._latest is None or self.replying or number != self.number:
            raise TextError(f"reply {number} is not the latest finished one")
        self.drop_speculation()
        heard = self._latest.heard(self._latest.first_tick * TICK_MS + heard_ms)
        self._llm.record.shorten_reply(heard.tokens, heard.text)
        return heard.text

    def in_progress(self, played_ms: int) -> TurnPair | None:
        """The turn that is being answered, as far as the reply was heard."""
        if self._reply is None:
            return None
        return TurnPair(self._llm.record.user_text, self._reply.heard(played_ms).text)

    def cancel(self) -> None:
        """The conversation is over: nothing goes on for it anywhere."""
        draft = self._reply or self._draft
        if draft is not None:
            draft.cancel()

    def _new_draft(self) -> Draft:
        stream = self._voice.start(self._seed + self.number + 1)
        return Draft(self._llm, stream, self._config, self._timeline.now_ms)

    def _finish(self, reply: Draft) -> None:
        heard = reply.heard() if reply.speaking else Heard(0, "")
        self._close(reply, heard)
        if reply.speaking:
            status = "failed" if reply.problem else "completed"
            self._emit("reply.done", status=status, heard_text=heard.text)
        said = SAID_EVERYTHING if reply.speaking else NOTHING_TO_SAY
        self.over = NO_MORE_TEXT if reply.problem else said

    def _close(self, reply: Draft, heard: Heard) -> None:
        reply.commit(heard)
        self._latest, self._reply = reply, None

    def _emit(self, type_: str, **data: Any) -> None:
        self._timeline.emit(type_, reply_id=self.number, **data)

    def _emit_text(self, reply: Draft) -> None:
        """What was written since the last tick, and what was voiced."""
        if text := reply.new_text():
            self._emit("reply.text.delta", text=text)
        if text := reply.new_speech():
            self._emit("reply.spoken.delta", text=text)
