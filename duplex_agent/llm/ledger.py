"""What a conversation's cache holds: a ledger of typed spans, equal to what was heard.

The cache opens with a prompt prefix (system prompt and examples), then come turn pairs and turns
of text. The prefix stays for ever; the oldest turns behind it are dropped when room is needed, and
what stands behind them moves up (a sliding window with an attention sink, arXiv 2309.17453, that
slides by whole turns). The ledger is plain data: every change of the cache follows from it and
leaves as an edit, for whoever has the network.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from duplex_agent.llm.chat import ChatFormat
from duplex_agent.llm.protocol import Role, TurnPair
from duplex_agent.llm.requests import Append, Cache, Edit, Fork, Rows, Splice, Truncate
from duplex_agent.llm.spans import Kind, Span, Waiting, pair_of


class Ledger:
    """The record of one conversation's cache.

    The caller's order: ``hear`` and ``revise``, then ``forget_user`` or ``begin_reply``; after
    that ``say`` any number of times, then ``end_reply`` or ``roll_back``. ``add_turns`` and
    ``replace_prefix`` may come at any time and wait for their place between the turn pairs.
    ``edits`` must reach the cache in order, before anything else is asked of it.
    """

    def __init__(
        self, chat: ChatFormat, max_length: int, turn_room: int, remember: int, keep: float
    ) -> None:
        """``turn_room``: positions that a turn begins with; ``remember``: positions that the turns
        before it may take; ``keep``: the share of those that stays when old turns are dropped.
        """
        self.cache = Cache()
        self.spans: list[Span] = [Span(Kind.PREFIX, len(chat.system))]
        self._chat = chat
        self._max_length = max_length
        self._turn_room = turn_room
        self._remember = remember
        self._keep = keep
        self._user = 0  # positions of the open user turn in the cache
        self._user_text = ""
        self._unread: list[NDArray[np.float32]] = []  # rows of the user that are not in the cache
        self._reply: int | None = None  # positions of the open reply
        self._part = 0  # positions of the turn that is being read
        self._waiting: deque[Waiting] = deque()
        self._next_prefix: Cache | None = None
        self._next_length = 0  # positions of it that are read
        self._edits: list[Edit] = [Fork(self.cache, chat.system)]

    # what it holds

    @property
    def length(self) -> int:
        """Positions in use."""
        return self._closed + self._part + self._user + (self._reply or 0)

    @property
    def turns(self) -> list[tuple[Span, ...]]:
        """The closed spans behind the prefix, a spoken turn together with its reply."""
        turns: list[tuple[Span, ...]] = []
        for span in self.spans[1:]:
            if span.kind is Kind.REPLY and turns and turns[-1][-1].kind is Kind.USER:
                turns[-1] = (*turns[-1], span)
            else:
                turns.append((span,))
        return turns

    @property
    def pairs(self) -> list[TurnPair]:
        """What is remembered, oldest first."""
        return [pair_of(turn) for turn in self.turns]

    @property
    def user_text(self) -> str:
        """What was understood in the open user turn."""
        return self._user_text

    @property
    def room(self) -> int:
        """Positions that the open turn may still take, older turns giving way."""
        taken = self.length - self._closed + len(self._unread)
        return self._max_length - self._prefix - taken

    @property
    def reply_fits(self) -> bool:
        """Whether another token of the reply has room, its closing included."""
        return self.room > len(self._chat.assistant_end)

    @property
    def ready(self) -> bool:
        """Whether a reply may begin: all that was heard, and what comes before it, is read."""
        return not self._unread and (self._open or not self._waiting)

    @property
    def waiting(self) -> int:
        """Positions of text that were added and not read yet."""
        return sum(reading.positions for reading in self._waiting)

    def edits(self) -> list[Edit]:
        """What must be done to the cache since the last call, in order."""
        edits, self._edits = self._edits, []
        return edits

    # the open turn

    def hear(self, embeddings: NDArray[np.float32], text: str) -> None:
        """Add tokens [n, width] of the user and what they say, for ``prefill`` to read."""
        self._user_text += text
        self._unread += list(embeddings)

    def revise(self, positions: int, chars: int) -> None:
        """Drop the user's last ``positions`` tokens and the last ``chars`` characters they say."""
        self._user_text = self._user_text[: len(self._user_text) - chars]
        unread = min(positions, len(self._unread))
        del self._unread[len(self._unread) - unread :]
        self._user -= positions - unread
        self._truncate(self.length)

    def forget_user(self) -> None:
        """Drop the open user turn as if it had not been."""
        if self._user:
            self._truncate(self._closed)
        self._close()

    def begin_reply(self) -> None:
        """Hand the turn to the agent: `Decode` gives the first token of the reply.

        What is not read yet is read at once: wait for ``ready`` to keep the cost bounded.
        """
        while not self.ready:
            self.prefill(self._max_length)
        opening = self._chat.user_end if self._user else self._chat.assistant_begin
        self._append(opening)
        self._reply = len(opening)

    def make_room(self) -> None:
        """Old turns give way to another token of the reply, if they must."""
        self._free(1)

    def say(self) -> None:
        """A token of the reply was appended."""
        assert self._reply is not None
        self._reply += 1

    def roll_back(self) -> None:
        """Forget the reply, nothing of which was heard: the user's turn is open again."""
        self._reply = None
        self._truncate(self.length)

    def end_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Close the turn with the first ``heard_tokens`` tokens of the reply."""
        opening = self._chat.user_end if self._user else self._chat.assistant_begin
        self._reply = len(opening) + heard_tokens
        self._truncate(self.length)
        self._append(self._chat.assistant_end)
        if self._user:
            self.spans.append(Span(Kind.USER, self._user, self._user_text))
        positions = self._reply + len(self._chat.assistant_end)
        self.spans.append(Span(Kind.REPLY, positions, heard_text))
        self._close()

    def shorten_reply(self, heard_tokens: int, heard_text: str) -> None:
        """Cut the latest closed reply: less of it was heard than was thought.

        Only while no reply is open. What stands behind it moves up.
        """
        index = max(i for i, span in enumerate(self.spans) if span.kind is Kind.REPLY)
        span = self.spans[index]
        spoken = self.spans[index - 1].kind is Kind.USER
        opening = self._chat.user_end if spoken else self._chat.assistant_begin
        positions = len(opening) + heard_tokens + len(self._chat.assistant_end)
        end = sum(s.positions for s in self.spans[: index + 1]) - len(self._chat.assistant_end)
        self._edits.append(Splice(self.cache, end - (span.positions - positions), end))
        self.spans[index] = Span(Kind.REPLY, positions, heard_text)

    # what is written, and upkeep

    def turn_length(self, role: Role, ids: Sequence[int]) -> int:
        """Positions of a turn of text with its markup."""
        return sum(map(len, self._markup(role, tuple(ids))))

    def add_turn(self, role: Role, text: str, ids: Sequence[int]) -> None:
        """Add a turn of text, behind the turn in progress if there is one."""
        rows = self._markup(role, tuple(ids))
        span = Span(Kind.TEXT, sum(map(len, rows)), text, role)
        self._waiting.append(Waiting(list(rows), (span,)))

    def add_pair(self, pair: TurnPair, user: Sequence[int], agent: Sequence[int]) -> None:
        """Add a spoken turn and its reply as tokens: how another worker goes on."""
        chat = self._chat
        said: list[Rows] = [chat.user_begin, tuple(user)] if pair.user else []
        opening = chat.user_end if pair.user else chat.assistant_begin
        reply: list[Rows] = [opening, tuple(agent), chat.assistant_end]
        spans = [Span(Kind.USER, sum(map(len, said)), pair.user)] if said else []
        spans.append(Span(Kind.REPLY, sum(map(len, reply)), pair.agent))
        self._waiting.append(Waiting([rows for rows in (*said, *reply) if len(rows)], tuple(spans)))

    def replace_prefix(self, ids: Sequence[int]) -> None:
        """Put another system prompt (with its examples) before everything, from the next turn on.

        The turns stay as they were understood under the old one.
        """
        self._waiting.append(Waiting([tuple(ids)], ()))

    def prefill(self, budget: int) -> bool:
        """A bounded piece of the work that waits: at most ``budget`` positions are read, or old
        turns dropped. True when there was something to do.
        """
        if not self._open:
            if len(self.spans) > 1 and self._too_much:
                self._drop_old(self._turn_room)
                return True
            if self._waiting:
                self._read(budget)
                return True
        if self._unread:
            rows = np.stack(self._unread[:budget])
            del self._unread[:budget]
            self._take(rows)
            return True
        return False

    @property
    def _open(self) -> bool:
        """Something of the open turn is in the cache."""
        return self._user > 0 or self._reply is not None

    @property
    def _prefix(self) -> int:
        return self.spans[0].positions

    @property
    def _closed(self) -> int:
        return sum(span.positions for span in self.spans)

    @property
    def _most(self) -> int:
        """Positions behind the prefix with which a turn may begin."""
        return min(self._remember, self._max_length - self._turn_room - self._prefix)

    @property
    def _too_much(self) -> bool:
        return self.length - self._prefix > self._most

    def _take(self, rows: NDArray[np.float32]) -> None:
        if self._user:
            self._append(rows)
        else:
            self._append(self._chat.user_begin, rows)
            self._user = len(self._chat.user_begin)
        self._user += len(rows)

    def _append(self, *rows: Rows) -> None:
        self._free(sum(map(len, rows)))
        self._edits.append(Append(self.cache, rows))

    def _truncate(self, length: int) -> None:
        self._edits.append(Truncate(self.cache, length))

    def _free(self, positions: int) -> None:
        """Drop old turns where ``positions`` and the closing of a reply would not fit."""
        needed = positions + len(self._chat.assistant_end)
        if self._max_length - self.length < needed:
            self._drop_old(needed)

    def _close(self) -> None:
        self._user, self._user_text, self._unread, self._reply = 0, "", [], None

    def _drop_old(self, needed: int) -> None:
        """Drop the oldest turns until ``needed`` positions are free and ``keep`` is kept."""
        kept = self._prefix + int(self._keep * self._most)
        spans = positions = 0
        for turn in self.turns:
            if self.length - positions <= min(kept, self._max_length - needed):
                break
            spans += len(turn)
            positions += sum(span.positions for span in turn)
        self._edits.append(Splice(self.cache, self._prefix, self._prefix + positions))
        del self.spans[1 : 1 + spans]

    def _read(self, budget: int) -> None:
        """Read a piece of what waits longest."""
        reading = self._waiting[0]
        rows = reading.take(budget)
        if reading.spans:
            self._append(*rows)
            self._part += sum(map(len, rows))
        else:
            self._next_prefix = self._next_prefix or Cache()
            self._edits.append(Append(self._next_prefix, rows))
            self._next_length += sum(map(len, rows))
        if not reading.rows:
            self._waiting.popleft()
            if reading.spans:
                self.spans += reading.spans
                self._part = 0
            else:
                self._swap_prefix()

    def _swap_prefix(self) -> None:
        prefix, self._next_prefix = self._next_prefix, None
        length, self._next_length = self._next_length, 0
        longer = length - self._prefix
        if self._max_length - self.length < longer:
            self._drop_old(longer)
        self._edits.append(Splice(self.cache, 0, self._prefix, prefix))
        self.spans[0] = Span(Kind.PREFIX, length)

    def _markup(self, role: Role, ids: tuple[int, ...]) -> tuple[Rows, ...]:
        chat = self._chat
        if role == "user":
            return (chat.user_begin, ids, chat.user_close)
        return (chat.assistant_begin, ids, chat.assistant_end)
