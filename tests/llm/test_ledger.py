"""The ledger, edit by edit: what leaves for the cache, when, and what is remembered.

A user's embedding is one number, the token it stands for. The markup has two tokens before a
user (34, 35), three between the two sides (36, 37, 38: one ends the user's turn, two begin the
assistant's) and one behind the reply (39); the system prompt has four.
"""

import pytest
from ledger_edits import PAIR, exchange, hear, left, new, settle
from token_caches import CHAT, LONGEST, TURN

from duplex_agent.llm.ledger import Ledger
from duplex_agent.llm.protocol import TurnPair
from duplex_agent.llm.requests import Splice
from duplex_agent.llm.spans import Kind, Span

# a user turn


def test_a_conversation_begins_with_the_system_prompt() -> None:
    ledger = Ledger(CHAT, LONGEST, TURN, LONGEST, keep=0.6)
    assert left(ledger) == [("fork", 30, 31, 32, 33)]
    assert left(ledger) == []
    assert (ledger.length, ledger.room, ledger.pairs) == (4, 92, [])
    assert ledger.ready
    assert not ledger.prefill(5)


def test_what_is_heard_is_read_in_pieces_behind_its_markup() -> None:
    ledger = new()
    hear(ledger, 1, 2)
    hear(ledger, 3)
    assert left(ledger) == []
    assert (ledger.length, ledger.room, ledger.ready) == (4, 89, False)
    assert ledger.prefill(2)
    assert left(ledger) == [("append", 34, 35, 1, 2)]
    assert (ledger.length, ledger.room, ledger.ready) == (8, 87, False)
    assert ledger.prefill(2)
    assert left(ledger) == [("append", 3)]
    assert (ledger.length, ledger.room, ledger.ready) == (9, 87, True)
    assert not ledger.prefill(2)
    assert left(ledger) == []
    assert ledger.user_text == "bcd"


def test_words_that_were_not_read_are_revised_without_a_trace() -> None:
    ledger = new()
    hear(ledger, 1, 2, 3)
    ledger.revise(1, chars=1)
    hear(ledger, 4)
    ledger.prefill(9)
    assert left(ledger) == [("truncate", 4), ("append", 34, 35, 1, 2, 4)]
    assert ledger.user_text == "bce"


def test_words_that_were_read_are_cut_off_the_cache() -> None:
    ledger = new()
    hear(ledger, 1, 2, 3)
    ledger.prefill(2)
    left(ledger)
    ledger.revise(2, chars=2)  # one of them was not read yet
    assert left(ledger) == [("truncate", 7)]
    assert (ledger.length, ledger.user_text, ledger.ready) == (7, "b", True)
    hear(ledger, 5)
    ledger.prefill(9)
    assert left(ledger) == [("append", 5)]


def test_the_last_of_what_waits_is_revised() -> None:
    ledger = new()
    hear(ledger, 1, 2, 3, 4)
    ledger.revise(3, chars=3)
    ledger.prefill(9)
    assert left(ledger)[1:] == [("append", 34, 35, 1)]


def test_a_turn_is_forgotten_as_if_it_had_not_been() -> None:
    ledger = new()
    exchange(ledger)
    hear(ledger, 1, 2, 3)
    ledger.forget_user()
    assert left(ledger) == []  # nothing of it had been read
    assert (ledger.ready, ledger.user_text, ledger.room) == (True, "", 92)
    hear(ledger, 1, 2, 3)
    ledger.prefill(2)
    left(ledger)
    ledger.forget_user()
    assert left(ledger) == [("truncate", 4 + PAIR)]
    assert (ledger.length, ledger.user_text) == (4 + PAIR, "")
    assert not ledger.prefill(9)
    hear(ledger, 4)
    ledger.prefill(9)
    assert left(ledger) == [("append", 34, 35, 4)]


# replies


def test_a_reply_opens_behind_the_user_and_closes_with_what_was_heard() -> None:
    ledger = new()
    hear(ledger, 1, 2, 3)
    ledger.prefill(2)
    left(ledger)
    ledger.begin_reply()  # what was not read is read first
    assert left(ledger) == [("append", 3), ("append", 36, 37, 38)]
    ledger.make_room()
    assert left(ledger) == []
    ledger.say()
    ledger.say()
    assert ledger.length == 4 + 5 + 3 + 2
    ledger.end_reply(1, "e")
    assert left(ledger) == [("truncate", 13), ("append", 39)]
    assert ledger.spans == [
        Span(Kind.PREFIX, 4),
        Span(Kind.USER, 5, "bcd"),
        Span(Kind.REPLY, 5, "e"),
    ]
    assert (ledger.length, ledger.room) == (14, 92)
    assert ledger.pairs == [TurnPair("bcd", "e")]
    assert ledger.user_text == ""


def test_a_reply_to_nobody_has_its_own_opening() -> None:
    ledger = new()
    ledger.begin_reply()
    assert left(ledger) == [("append", 37, 38)]
    ledger.say()
    ledger.say()
    assert (ledger.length, ledger.room) == (8, 88)
    ledger.end_reply(1, "e")
    assert left(ledger) == [("truncate", 7), ("append", 39)]
    assert ledger.spans[1:] == [Span(Kind.REPLY, 4, "e")]
    assert ledger.pairs == [TurnPair("", "e")]


def test_a_reply_that_is_rolled_back_leaves_the_turn_open() -> None:
    ledger = new()
    hear(ledger, 1, 2, 3)
    ledger.begin_reply()
    ledger.say()
    left(ledger)
    ledger.roll_back()
    assert left(ledger) == [("truncate", 9)]
    assert (ledger.length, ledger.user_text, ledger.pairs) == (9, "bcd", [])
    hear(ledger, 4)
    ledger.begin_reply()
    assert left(ledger) == [("append", 4), ("append", 36, 37, 38)]


def test_pairs_follow_each_other() -> None:
    ledger = new()
    exchange(ledger)
    hear(ledger, 4)
    ledger.begin_reply()
    ledger.end_reply(0, "")
    ledger.begin_reply()
    ledger.end_reply(0, "")
    assert ledger.turns == [
        (Span(Kind.USER, 5, "bcd"), Span(Kind.REPLY, 6, "ef")),
        (Span(Kind.USER, 3, "e"), Span(Kind.REPLY, 4, "")),
        (Span(Kind.REPLY, 3, ""),),
    ]


def test_the_latest_reply_is_cut_although_turns_stand_behind_it() -> None:
    ledger = new()
    exchange(ledger, 2)
    ledger.add_turn("user", "b", [1])
    settle(ledger)
    left(ledger)
    ledger.shorten_reply(1, "e")
    assert left(ledger) == [("splice", 24, 25)]  # the second of two tokens, before the closing
    assert ledger.spans[2:5] == [
        Span(Kind.REPLY, 6, "ef"),
        Span(Kind.USER, 5, "bcd"),
        Span(Kind.REPLY, 5, "e"),
    ]
    assert ledger.length == 4 + 2 * PAIR + 4 - 1
    ledger.shorten_reply(0, "")
    assert left(ledger) == [("splice", 23, 24)]


def test_a_reply_to_nobody_is_cut_behind_its_own_opening() -> None:
    ledger = new()
    ledger.begin_reply()
    for _ in range(3):
        ledger.say()
    ledger.end_reply(3, "efg")
    left(ledger)
    ledger.shorten_reply(1, "e")
    assert left(ledger) == [("splice", 7, 9)]
    assert ledger.spans[1:] == [Span(Kind.REPLY, 4, "e")]


# what is written


def test_a_turn_of_text_is_read_in_pieces_and_stands_closed() -> None:
    ledger = new()
    assert ledger.turn_length("user", [1, 2, 3]) == 6
    assert ledger.turn_length("assistant", [1, 2]) == 5
    ledger.add_turn("user", "bcd", [1, 2, 3])
    assert (ledger.waiting, ledger.ready) == (6, False)
    assert ledger.prefill(4)
    assert left(ledger) == [("append", 34, 35, 1, 2)]
    assert (ledger.waiting, ledger.length, ledger.pairs) == (2, 8, [])
    assert ledger.room == 88
    assert ledger.prefill(4)
    assert left(ledger) == [("append", 3, 36)]
    assert (ledger.waiting, ledger.length, ledger.ready) == (0, 10, True)
    assert ledger.room == 92
    assert ledger.spans[1:] == [Span(Kind.TEXT, 6, "bcd", "user")]
    assert not ledger.prefill(4)


def test_each_side_can_be_written() -> None:
    ledger = new()
    ledger.add_turn("assistant", "b", [1])
    ledger.add_turn("user", "c", [2])
    assert ledger.waiting == 8
    ledger.begin_reply()
    assert left(ledger) == [
        ("append", 37, 38, 1, 39),
        ("append", 34, 35, 2, 36),
        ("append", 37, 38),
    ]
    ledger.end_reply(0, "")
    assert ledger.pairs == [
        TurnPair("", "b", "assistant"),
        TurnPair("c", "", "user"),
        TurnPair("", "", None),
    ]


def test_text_waits_behind_a_turn_that_is_being_read() -> None:
    ledger = new()
    hear(ledger, 1, 2)
    ledger.prefill(1)
    ledger.add_turn("user", "d", [3])
    assert ledger.prefill(9)
    assert left(ledger) == [("append", 34, 35, 1), ("append", 2)]
    assert ledger.ready  # to answer the turn that is open
    assert not ledger.prefill(9)
    ledger.begin_reply()
    assert not ledger.prefill(9)
    ledger.end_reply(0, "")
    left(ledger)
    assert ledger.prefill(9)
    assert left(ledger) == [("append", 34, 35, 3, 36)]


def test_text_goes_before_a_turn_of_which_nothing_is_read() -> None:
    ledger = new()
    hear(ledger, 1)
    ledger.add_turn("user", "d", [3])
    settle(ledger)
    assert left(ledger) == [("append", 34, 35, 3, 36), ("append", 34, 35, 1)]


def test_text_waits_behind_a_reply_to_nobody() -> None:
    ledger = new()
    ledger.begin_reply()
    ledger.add_turn("user", "d", [3])
    assert not ledger.prefill(9)


def test_a_turn_pair_from_elsewhere_is_read_as_tokens() -> None:
    ledger = new()
    ledger.add_pair(TurnPair("bc", "d"), [1, 2], [3])
    assert ledger.waiting == 9
    settle(ledger)
    assert left(ledger) == [("append", 34, 35, 1, 2, 36, 37, 38, 3, 39)]
    assert ledger.spans[1:] == [Span(Kind.USER, 4, "bc"), Span(Kind.REPLY, 5, "d")]
    ledger.add_pair(TurnPair("", "d"), [], [3])
    ledger.add_pair(TurnPair("bc", ""), [1, 2], [])
    settle(ledger)
    assert left(ledger) == [
        ("append", 37, 38, 3, 39),
        ("append", 34, 35, 1, 2, 36, 37, 38, 39),
    ]
    assert ledger.spans[3:] == [
        Span(Kind.REPLY, 4, "d"),
        Span(Kind.USER, 4, "bc"),
        Span(Kind.REPLY, 4, ""),
    ]


# another system prompt


def test_another_system_prompt_is_read_beside_the_cache_and_then_put_into_it() -> None:
    ledger = new()
    exchange(ledger)
    ledger.replace_prefix([30, 1, 33])
    assert (ledger.waiting, ledger.ready) == (3, False)
    assert ledger.prefill(2)
    assert left(ledger) == [("append", "other", 30, 1)]
    assert ledger.length == 4 + PAIR
    assert ledger.prefill(2)
    assert left(ledger) == [("append", "other", 33), ("splice", 0, 4, "other")]
    assert ledger.spans[0] == Span(Kind.PREFIX, 3)
    assert (ledger.length, ledger.room, ledger.ready) == (3 + PAIR, 93, True)


def test_every_system_prompt_has_a_cache_of_its_own() -> None:
    ledger = new()
    ledger.replace_prefix([30, 1, 33])
    ledger.add_turn("user", "b", [1])
    ledger.replace_prefix([30, 33])
    fresh = []
    while ledger.prefill(100):
        [first, *rest] = ledger.edits()
        fresh.append(first.cache)
        if rest:
            assert rest[0].cache is ledger.cache
            assert isinstance(rest[0], Splice)
            assert rest[0].filling is first.cache
    assert fresh[1] is ledger.cache
    assert len({id(cache) for cache in fresh}) == 3
    assert ledger.spans == [Span(Kind.PREFIX, 2), Span(Kind.TEXT, 4, "b", "user")]


@pytest.mark.parametrize(("longer", "dropped"), [(37, 0), (38, 1)])
def test_old_turns_give_way_to_a_longer_system_prompt(longer: int, dropped: int) -> None:
    ledger = new(keep=1.0)
    exchange(ledger, 5)  # 59 positions; 37 are free
    prompt = [30] * (4 + longer)
    ledger.replace_prefix(prompt)
    ledger.prefill(100)
    splices = [("splice", 4, 4 + PAIR)] * dropped
    assert left(ledger) == [("append", "other", *prompt), *splices, ("splice", 0, 4, "other")]
    assert len(ledger.pairs) == 5 - dropped
