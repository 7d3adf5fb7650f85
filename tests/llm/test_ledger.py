"""The ledger on a real (tiny, random, fp32) language model: its cache is what it says it holds.

In the tiny model only the last layer attends. No cached position then depends on another one, so
a cache that has slid equals one that has read only what was kept.
"""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.engine.executor import ThinkerExecutor
from duplex_agent.llm.chat import ChatFormat
from duplex_agent.llm.ledger import Ledger
from duplex_agent.llm.load import load_thinker
from duplex_agent.llm.requests import Append
from duplex_agent.llm.thinker import Thinker

LONGEST, TURN = 96, 32
LETTERS = 20  # token i is the letter i; the markup has ids above
CHAT = ChatFormat(
    system=(30, 31, 32, 33),
    user_begin=(34, 35),
    user_end=(36, 37, 38),
    user_close=(36,),
    assistant_begin=(37, 38),
    assistant_end=(39,),
    stop_ids=frozenset({40}),
)


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Thinker:
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=48,
        max_position_embeddings=LONGEST,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
    model.save_pretrained(folder / "flat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUPLEX_ASSETS_DIR", str(folder))
        return load_thinker(str(folder / "flat"), "onnx-fp32", LONGEST)


def letters(ids: list[int]) -> str:
    return "".join(chr(ord("a") + i) for i in ids)


def ids_of(text: str) -> list[int]:
    return [ord(letter) - ord("a") for letter in text]


class Call:
    """A ledger and its cache, and beside them what was said."""

    def __init__(self, thinker: Thinker, remember: int = LONGEST) -> None:
        self.thinker = thinker
        self.executor = ThinkerExecutor(thinker)
        self.ledger = Ledger(CHAT, LONGEST, TURN, remember, keep=0.6)
        self.system = list(CHAT.system)
        self.reply: list[int] | None = None

    def edit(self, *more: Append) -> None:
        """Bring the cache up to date."""
        for request in [*self.ledger.edits(), *more]:
            [result] = self.executor.execute([request])
            assert result is None, result

    def hear(self, ids: list[int]) -> None:
        if self.reply is None:
            for i in ids:
                if self.ledger.room > 12:
                    self.ledger.hear(self.thinker.embed([i]), letters([i]))

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
        # what waits or is coming is checked by the mind; here it must only not pile up
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
        """Everything that the memory says it holds, as token ids."""
        ids = list(self.system)
        for turn in self.ledger.pairs:
            if turn.text_of == "user":
                ids += [*CHAT.user_begin, *ids_of(turn.user), *CHAT.user_close]
            elif turn.text_of == "assistant":
                ids += [*CHAT.assistant_begin, *ids_of(turn.agent), *CHAT.assistant_end]
            else:
                ids += [*CHAT.user_begin, *ids_of(turn.user), *CHAT.user_end]
                ids += [*ids_of(turn.agent), *CHAT.assistant_end]
        if self.ledger.user_text:
            ids += [*CHAT.user_begin, *ids_of(self.ledger.user_text)]
        if self.reply is not None:
            ids += [*CHAT.user_end, *self.reply]
        return ids


SOME = st.lists(st.integers(0, LETTERS - 1), max_size=16)
WHAT = ("hear", "hear", "revise", "say", "say", "end", "roll_back", "forget", "prefill")
TOLD = ("user", "assistant", "system_prompt")
STEPS = st.lists(st.tuples(st.sampled_from([*WHAT, *TOLD]), SOME), max_size=40)


@settings(deadline=None, max_examples=30)
@given(STEPS)
def test_after_anything_the_cache_equals_a_fresh_one_fed_with_what_is_remembered(
    thinker: Thinker, steps: list[tuple[str, list[int]]]
) -> None:
    call = Call(thinker)
    for what, ids in steps:
        getattr(call, what)(ids)
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
    """The cache, asked through its last position, answers like one that reads it all afresh."""
    ledger, thinker = call.ledger, call.thinker
    call.edit()
    told = call.laid_out()
    assert ledger.length == len(told)
    fresh = thinker.new_state()
    thinker.append(fresh, thinker.embed(told))
    answers = []
    for state in (ledger.cache.state, fresh):
        thinker.truncate(state, len(told) - 1)
        answers.append(thinker.append(state, thinker.embed(told[-1:])).logits)
    got, wanted = answers
    np.testing.assert_allclose(got, wanted, atol=1e-4 * float(np.abs(wanted).max()))


def test_old_turns_give_way_during_a_turn_and_a_reply_that_need_the_whole_context(
    thinker: Thinker,
) -> None:
    call = Call(thinker)
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


def test_no_more_is_remembered_than_asked_for_although_the_context_has_room(
    thinker: Thinker,
) -> None:
    call = Call(thinker, remember=30)
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


def test_reading_is_bounded_and_the_reply_can_wait_for_it(thinker: Thinker) -> None:
    call = Call(thinker)
    call.user([1] * 21)  # 24 positions
    call.hear([2, 3])
    pieces, before = [], call.ledger.length
    while not call.ledger.ready:
        assert call.ledger.prefill(5)
        pieces.append(call.ledger.length - before)
        before = call.ledger.length
    assert pieces == [5, 5, 5, 5, 4, 4]  # the last: two tokens heard, behind their markup
    assert call.ledger.length == len(call.laid_out())
