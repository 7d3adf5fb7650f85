"""What the agent remembers: the thinker's cache, kept equal to what was heard on both sides.

A conversation is its opening (the system prompt with the examples), then turns: spoken exchanges
and turns added as text. The opening stays for ever; the oldest turns behind it are dropped when
room is needed, and what stands behind them moves up (a sliding window with an attention sink,
arXiv 2309.17453, that slides by whole turns). Every call costs a bounded number of positions.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_agent.llm.chat import ChatFormat
from duplex_agent.llm.mind import Role
from duplex_agent.llm.thinker import Thinker, ThinkerState, ThinkerStep

Rows = NDArray[np.float32]  # embeddings [n, width]


@dataclass(frozen=True)
class Exchange:
    """A finished user turn with the part of the reply that was heard, or a turn of text.

    ``positions`` is its length in the cache. ``text_of``: whose text it is, None for speech.
    """

    user: str
    agent: str
    positions: int
    text_of: Role | None = None


@dataclass
class _Reading:
    """Rows that wait to be read: a turn of text, or a new opening where there is no turn."""

    rows: Rows
    turn: Exchange | None


class Memory:
    """The thinker's side of one conversation.

    The caller's order: ``hear`` and ``take_back``, then ``forget_user`` or ``begin_reply``;
    after that ``say`` any number of times, then ``end_reply`` or ``undo_reply``. ``add_turn`` and
    ``replace_opening`` may come at any time and wait for their place between the exchanges.
    """

    def __init__(
        self, thinker: Thinker, chat: ChatFormat, exchange: int, remember: int, keep: float
    ) -> None:
        """``exchange``: room that an exchange begins with; ``remember``: positions that the turns
        before it may take; ``keep``: the share of those that stays when old turns are dropped.
        """
        self._thinker = thinker
        self._chat = chat
        self._exchange = exchange
        self._remember = remember
        self._keep = keep
        self.exchanges: list[Exchange] = []
        self._state = thinker.new_state()
        thinker.append(self._state, thinker.embed(chat.system))
        self._opening = self._state.length
        self._start = self._opening  # where the open exchange begins, or a half-read turn of text
        self._open = False  # something of the open exchange is in the cache
        self._user_positions = 0  # the user's part of it, once the reply has begun
        self._user = ""
        self._waiting: deque[_Reading] = deque()
        self._next_opening: ThinkerState | None = None
        self._held: list[Rows] = []  # heard and not read yet

    @property
    def length(self) -> int:
        """Positions in use."""
        return self._state.length

    @property
    def room(self) -> int:
        """Positions that the open exchange may still take, older turns giving way."""
        taken = self._state.length - self._start + len(self._held)
        return self._thinker.max_length - self._opening - taken

    @property
    def reply_fits(self) -> bool:
        """Whether another token of the reply has room, its closing included."""
        return self.room > len(self._chat.assistant_end)

    @property
    def user_text(self) -> str:
        """What was understood in the open user turn."""
        return self._user

    @property
    def ready(self) -> bool:
        """Whether a reply may begin: all that was heard, and what comes before it, is read."""
        return not self._held and (self._open or not self._waiting)

    @property
    def _most(self) -> int:
        """Positions behind the opening with which an exchange may begin."""
        return min(self._remember, self._thinker.max_length - self._exchange - self._opening)

    @property
    def _too_much(self) -> bool:
        return self.length - self._opening > self._most

    @property
    def waiting(self) -> int:
        """Positions of text that were added and not read yet."""
        return sum(len(reading.rows) for reading in self._waiting)

    def hear(self, embeddings: NDArray[np.float32], text: str) -> None:
        """Add tokens [n, width] of the user and what they say, for ``tidy`` to read."""
        self._user += text
        self._held += [row[None] for row in embeddings]

    def take_back(self, positions: int, chars: int) -> None:
        """Drop the user's last ``positions`` tokens and the last ``chars`` characters they say."""
        self._user = self._user[: len(self._user) - chars]
        unread = min(positions, len(self._held))
        del self._held[len(self._held) - unread :]
        self._thinker.truncate(self._state, self._state.length - (positions - unread))

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        self._held = []
        if self._open:
            self._thinker.truncate(self._state, self._start)
        self._close()

    def begin_reply(self) -> ThinkerStep:
        """Hand the turn to the agent; the answer predicts the first token of the reply.

        What is not read yet is read at once: wait for ``ready`` to keep the cost bounded.
        """
        while not self.ready:
            self.tidy(self._thinker.max_length)
        self._user_positions = self._state.length - self._start
        return self._append(self._thinker.embed(self._chat.user_end))

    def say(self, token: int) -> ThinkerStep:
        """Add one token of the reply; the answer predicts the next."""
        return self._append(self._thinker.embed([token]))

    def undo_reply(self) -> None:
        """Forget the reply, nothing of which was heard: the user's turn is open again."""
        self._thinker.truncate(self._state, self._start + self._user_positions)
        self._user_positions = 0

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the exchange with the first ``heard_tokens`` tokens of the reply."""
        reply = self._start + self._user_positions + len(self._chat.user_end)
        self._thinker.truncate(self._state, reply + heard_tokens)
        self._append(self._thinker.embed(self._chat.assistant_end))
        positions = self._state.length - self._start
        self.exchanges.append(Exchange(self._user, heard_text, positions))
        self._close()

    def turn_length(self, role: Role, ids: Sequence[int]) -> int:
        """Positions of a turn of text with its markup."""
        return len(self._markup(role, ids))

    def add_turn(self, role: Role, text: str, ids: Sequence[int]) -> None:
        """Add a turn of text, behind the exchange in progress if there is one."""
        marked = self._markup(role, ids)
        sides = (text, "") if role == "user" else ("", text)
        turn = Exchange(*sides, len(marked), text_of=role)
        self._waiting.append(_Reading(self._thinker.embed(marked), turn))

    def replace_opening(self, ids: Sequence[int]) -> None:
        """Put another system prompt (with its examples) before everything, from the next turn on.

        The turns stay as they were understood under the old one.
        """
        self._waiting.append(_Reading(self._thinker.embed(ids), None))

    def tidy(self, rows: int) -> bool:
        """A bounded piece of the work that waits: at most ``rows`` positions are read, or old
        turns dropped. True when there was something to do.
        """
        if not self._open:
            if self.exchanges and self._too_much:
                self._drop_old(self._exchange)
                return True
            if self._waiting:
                self._read(rows)
                return True
        if self._held:
            held = np.concatenate(self._held[:rows])
            del self._held[:rows]
            self._take(held)
            return True
        return False

    def _take(self, rows: Rows) -> None:
        if not self._open:
            if self._too_much:
                self._drop_old(self._exchange)
            self._open = True
            rows = np.concatenate([self._thinker.embed(self._chat.user_begin), rows])
        self._append(rows)

    def _append(self, rows: Rows) -> ThinkerStep:
        needed = len(rows) + len(self._chat.assistant_end)
        if self._thinker.max_length - self.length < needed:
            self._drop_old(needed)
        return self._thinker.append(self._state, rows)

    def _close(self) -> None:
        self._user_positions = 0
        self._user = ""
        self._open = False
        self._start = self._state.length

    def _drop_old(self, needed: int) -> None:
        """Drop the oldest turns until ``needed`` positions are free and ``keep`` is kept."""
        longest = self._thinker.max_length
        kept = self._opening + int(self._keep * self._most)
        count = positions = 0
        for turn in self.exchanges:
            if self.length - positions <= min(kept, longest - needed):
                break
            count += 1
            positions += turn.positions
        self._thinker.splice(self._state, self._opening, self._opening + positions)
        del self.exchanges[:count]
        self._start -= positions

    def _read(self, rows: int) -> None:
        """Read a piece of what waits longest."""
        reading = self._waiting[0]
        piece, reading.rows = reading.rows[:rows], reading.rows[rows:]
        if reading.turn is not None:
            self._append(piece)
        else:
            self._next_opening = self._next_opening or self._thinker.new_state()
            self._thinker.append(self._next_opening, piece)
        if not len(reading.rows):
            self._waiting.popleft()
            if reading.turn is not None:
                self.exchanges.append(reading.turn)
                self._start = self._state.length
            else:
                self._swap_opening()

    def _swap_opening(self) -> None:
        opening, self._next_opening = self._next_opening, None
        assert opening is not None
        longer = opening.length - self._opening
        if self._thinker.max_length - self.length < longer:
            self._drop_old(longer)
        self._thinker.splice(self._state, 0, self._opening, opening)
        self._opening = opening.length
        self._start += longer

    def _markup(self, role: Role, ids: Sequence[int]) -> list[int]:
        chat = self._chat
        if role == "user":
            return [*chat.user_begin, *ids, *chat.user_close]
        return [*chat.assistant_begin, *ids, *chat.assistant_end]
