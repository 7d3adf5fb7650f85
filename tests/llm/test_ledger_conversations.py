"""The ledger against a cache that is a list of tokens: what it says it holds is what stands there.

A user's embedding is one number, the token it stands for.
"""

from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from token_caches import CHAT, LETTERS, LONGEST, TURN, TokenCaches

from duplex_agent.llm.ledger import Ledger
from duplex_agent.llm.protocol import TurnPair
from duplex_agent.llm.requests import Append
from duplex_agent.llm.spans import Kind


def letters(ids: list[int]) -> str:
    return "".join(chr(ord("a") + i) for i in ids)


def ids_of(text: str) -> list[int]:
    return [ord(letter) - ord("a") for letter in text]


class Call:
    """A ledger and its cache, and beside them what was said."""

    def __init__(self, remember: int = LONGEST) -> None:
        self.caches = TokenCaches()
        self.ledger = Ledger(CHAT, LONGEST, TURN, remember, keep=0.6)
        self.system = list(CHAT.system)
        self.reply: list[int] | None = None

    def edit(self, *more: Append) -> None:
        """Bring the cache up to date."""
        for edit in [*self.ledger.edits(), *more]:
            self.caches.edit(edit)

    @property
    def context(self) -> list[int]:
        """What stands in the cache."""
        self.edit()
        return self.caches.of(self.ledger.cache)

    def hear(self, ids: list[int]) -> None:
        if self.reply is None:
            for i in ids:
                if self.ledger.room > 12:
                    self.ledger.hear(np.array([[i]], np.float32), letters([i]))

    def revise(self, ids: list[int]) -> None:
        if self.reply is None:
            count = min(len(ids), len(self.ledger.user_text) - 1)
            if count > 0:
                self.ledger.revise(count, count)

    def forget(self, ids: list[int]) -> None:
        if self.reply is None:
            self.ledger.forget_user()

    def say(self, ids: list[int]) -> None:
        if self.reply is None:
            if not self.ledger.user_text:
                return
            self.ledger.begin_reply()
            self.reply = []
        for i in ids:
            if self.ledger.reply_fits:
                self.ledger.make_room()
                self.edit(Append(self.ledger.cache, ((i,),)))
                self.ledger.say()
                self.reply.append(i)

    def answer(self, ids: list[int]) -> None:
        """A reply to what was written."""
        if self.reply is None and not self.ledger.user_text:
            self.ledger.begin_reply()
            self.reply = []

    def shorten(self, ids: list[int]) -> None:
        spoken = [span.text for span in self.ledger.spans if span.kind is Kind.REPLY]
        if self.reply is None and spoken:
            heard = min(len(ids), len(spoken[-1]))
            self.ledger.shorten_reply(heard, spoken[-1][:heard])

    def pair(self, ids: list[int]) -> None:
        if self.ledger.waiting + len(self.system) + len(ids) + 8 < LONGEST - TURN:
            half = len(ids) // 2
            pair = TurnPair(letters(ids[:half]), letters(ids[half:]))
            self.ledger.add_pair(pair, ids[:half], ids[half:])

    def roll_back(self, ids: list[int]) -> None:
        if self.reply is not None:
            self.ledger.roll_back()
            self.reply = None

    def end(self, ids: list[int]) -> None:
        if self.reply is not None:
            heard = min(len(ids), len(self.reply))
            self.ledger.end_reply(heard, letters(self.reply[:heard]))
            self.reply = None

    def prefill(self, ids: list[int]) -> None:
        self.ledger.prefill(len(ids) + 1)

    def user(self, ids: list[int]) -> None:
        self.text("user", ids)

    def assistant(self, ids: list[int]) -> None:
        self.text("assistant", ids)

    def text(self, role: Literal["user", "assistant"], ids: list[int]) -> None:
        # what waits or is coming is checked by the LLM; here it must only not pile up
        if self.ledger.waiting + len(self.system) + len(ids) + 8 < LONGEST - TURN:
            self.ledger.add_turn(role, letters(ids), ids)

    def system_prompt(self, ids: list[int]) -> None:
        if self.ledger.waiting == 0:
            self.settle()
            self.system = [30, *ids, 33]
            self.ledger.replace_prefix(self.system)

    def settle(self) -> None:
        while self.ledger.prefill(7):
            pass

    def laid_out(self) -> list[int]:
        """Everything that the ledger says it holds, as token ids."""
        ids = list(self.system)
        for turn in self.ledger.pairs:
            if turn.text_of == "user":
                ids += [*CHAT.user_begin, *ids_of(turn.user), *CHAT.user_close]
            elif turn.text_of == "assistant":
                ids += [*CHAT.assistant_begin, *ids_of(turn.agent), *CHAT.assistant_end]
            else:
                ids += self.opened(turn.user)
                ids += [*ids_of(turn.agent), *CHAT.assistant_end]
        if self.reply is not None:
            ids += [*self.opened(self.ledger.user_text), *self.reply]
        elif self.ledger.user_text:
            ids += [*CHAT.user_begin, *ids_of(self.ledger.user_text)]
        return ids

    def opened(self, user: str) -> list[int]:
        """What stands before a reply, to the user or to nobody."""
        if not user:
            return [*CHAT.assistant_begin]
        return [*CHAT.user_begin, *ids_of(user), *CHAT.user_end]


SOME = st.lists(st.integers(0, LETTERS - 1), max_size=16)
WHAT = ("hear", "hear", "revise", "say", "say", "end", "roll_back", "forget", "prefill")
TOLD = ("user", "assistant", "system_prompt", "answer", "shorten", "pair")
STEPS = st.lists(st.tuples(st.sampled_from([*WHAT, *TOLD]), SOME), max_size=40)


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_after_anything_the_cache_holds_what_is_remembered(
    steps: list[tuple[str, list[int]]],
) -> None:
    call = Call()
    for what, ids in steps:
        getattr(call, what)(ids)
        call.edit()
        assert call.ledger.length <= LONGEST
    call.settle()
    if not call.ledger.waiting:
        check_cache(call)
    call.end(list(range(8)))
    call.forget([])
    call.settle()
    check_cache(call)
    assert LONGEST - call.ledger.length >= TURN  # a turn never finds too little room


def check_cache(call: Call) -> None:
    assert call.context == call.laid_out()
    assert call.ledger.length == len(call.context)


def test_old_turns_give_way_during_a_turn_and_a_reply_that_need_the_whole_context() -> None:
    call = Call()
    for _ in range(4):
        call.hear([1, 2, 3])
        call.say([4, 5])
        call.end([0, 0])
    call.hear([6] * 70)
    call.settle()
    assert call.ledger.pairs == []
    call.say([7] * 20)
    assert call.ledger.length <= LONGEST
    assert not call.ledger.reply_fits
    call.end([0] * 20)
    assert len(call.ledger.pairs) == 1
    call.settle()
    assert call.ledger.pairs == []  # it took the room that the next turn needs


def test_no_more_is_remembered_than_asked_for_although_the_context_has_room() -> None:
    call = Call(remember=30)
    turns = []
    for _ in range(6):
        call.hear([1, 2, 3])
        call.say([4, 5])
        call.end([0, 0])
        call.settle()
        kept = [sum(span.positions for span in turn) for turn in call.ledger.turns]
        assert sum(kept) == call.ledger.length - len(CHAT.system) <= 30
        turns.append(len(kept))
    assert turns == [1, 2, 1, 2, 1, 2]  # of 11 positions; 18 stay when there are too many
    check_cache(call)


def test_reading_is_bounded_and_the_reply_can_wait_for_it() -> None:
    call = Call()
    call.user([1] * 21)  # 24 positions
    call.hear([2, 3])
    pieces, before = [], call.ledger.length
    while not call.ledger.ready:
        assert call.ledger.prefill(5)
        pieces.append(call.ledger.length - before)
        before = call.ledger.length
    assert pieces == [5, 5, 5, 5, 4, 4]  # the last: two tokens heard, behind their markup
    assert call.ledger.length == len(call.laid_out())
