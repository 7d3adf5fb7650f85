"""What the agent remembers: the thinker's cache, kept equal to what was heard on both sides.

A conversation is the system prompt followed by exchanges (a user turn and its reply). The open
exchange grows position by position and can be cut back; closed ones keep their embeddings, so
that an old conversation can be shortened by reading its last exchanges into a fresh cache.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_agent.model.chat import ChatFormat
from duplex_agent.model.thinker import Thinker, ThinkerState, ThinkerStep

Rows = NDArray[np.float32]  # embeddings [n, width]


@dataclass(frozen=True)
class Exchange:
    """A finished user turn with the part of the reply that was heard."""

    user: str
    agent: str
    rows: Rows


class Memory:
    """The thinker's side of one conversation.

    The caller's order: ``hear`` any number of times, then ``forget_user`` or ``begin_reply``;
    after that ``say`` any number of times, then ``end_reply`` or ``undo_reply``.
    """

    def __init__(
        self,
        thinker: Thinker,
        chat: ChatFormat,
        compact_at: int,
        compact_to: int,
        exchange: int,
    ) -> None:
        """``compact_at``: positions above which old exchanges are dropped, down to
        ``compact_to``; ``exchange``: the positions that one exchange may take.
        """
        self._thinker = thinker
        self._chat = chat
        self._compact_at = compact_at
        self._compact_to = compact_to
        self._exchange = exchange
        self._system = thinker.embed(chat.system)
        self.exchanges: list[Exchange] = []
        self._state = self._fresh()
        self._start = self._state.length  # where the open exchange begins
        self._rows: list[Rows] = []  # the open exchange, one array per append
        self._user_rows = 0  # how many of them are the user's, 0 before the reply
        self._user = ""
        self._rebuilt: ThinkerState | None = None  # a shorter copy under construction
        self._to_read: list[Rows] = []

    @property
    def length(self) -> int:
        """Positions in use."""
        return self._state.length

    @property
    def room(self) -> int:
        """Positions left."""
        return self._thinker.max_length - self._state.length

    @property
    def reply_fits(self) -> bool:
        """Whether another token of the reply has room, its closing included."""
        return self.room > len(self._chat.assistant_end)

    @property
    def user_text(self) -> str:
        """What was understood in the open user turn."""
        return self._user

    def hear(self, embedding: NDArray[np.float32], piece: str) -> None:
        """Add one token [width] of the user; the first one opens the turn."""
        if not self._rows:
            self._make_room()
            self._append(self._thinker.embed(self._chat.user_begin))
        self._append(embedding[None])
        self._user += piece

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        self._thinker.truncate(self._state, self._start)
        self._close()

    def begin_reply(self) -> ThinkerStep:
        """Hand the turn to the agent; the answer predicts the first token of the reply."""
        self._user_rows = len(self._rows)
        return self._append(self._thinker.embed(self._chat.user_end))

    def say(self, token: int) -> ThinkerStep:
        """Add one token of the reply; the answer predicts the next."""
        return self._append(self._thinker.embed([token]))

    def undo_reply(self) -> None:
        """Forget the reply, nothing of which was heard: the user's turn is open again."""
        del self._rows[self._user_rows :]
        self._user_rows = 0
        self._thinker.truncate(self._state, self._start + sum(map(len, self._rows)))

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the exchange with the first ``heard_tokens`` tokens of the reply."""
        # after the user's rows stands one array with the turn's end, then one for each token
        del self._rows[self._user_rows + 1 + heard_tokens :]
        self._thinker.truncate(self._state, self._start + sum(map(len, self._rows)))
        self._append(self._thinker.embed(self._chat.assistant_end))
        self.exchanges.append(Exchange(self._user, heard_text, np.concatenate(self._rows)))
        if self._rebuilt is not None:
            self._to_read.append(self.exchanges[-1].rows)
        self._close()

    def tidy(self, rows: int) -> bool:
        """Between turns: a bounded piece of the work that keeps the context from filling up.

        Reads at most ``rows`` positions into the shorter copy. True when it did something.
        """
        if self._rows:
            return False
        if self._rebuilt is None and self.length > self._compact_at:
            self._start_rebuild()
        if self._rebuilt is None:
            return False
        while rows > 0 and self._to_read:
            part = self._to_read.pop(0)
            self._thinker.append(self._rebuilt, part[:rows])
            if len(part) > rows:
                self._to_read.insert(0, part[rows:])
            rows -= len(part)
        if not self._to_read:
            self._state, self._rebuilt = self._rebuilt, None
            self._start = self._state.length
        return True

    def _fresh(self) -> ThinkerState:
        state = self._thinker.new_state()
        self._thinker.append(state, self._system)
        return state

    def _append(self, rows: Rows) -> ThinkerStep:
        step = self._thinker.append(self._state, rows)
        self._rows.append(rows)
        return step

    def _close(self) -> None:
        self._rows = []
        self._user_rows = 0
        self._user = ""
        self._start = self._state.length

    def _start_rebuild(self) -> None:
        kept: list[Rows] = []
        budget = self._compact_to - len(self._system)
        for exchange in reversed(self.exchanges):
            budget -= len(exchange.rows)
            if budget < 0:
                break
            kept.insert(0, exchange.rows)
        self.exchanges = self.exchanges[len(self.exchanges) - len(kept) :]
        self._rebuilt = self._thinker.new_state()
        self._to_read = [self._system, *kept]

    def _make_room(self) -> None:
        """At a turn's start, when ``tidy`` had no time: read what is left at once."""
        if self.room < self._exchange:
            while self.tidy(self._thinker.max_length):
                pass
