"""Which turns a ledger drops, when, and how many: exact positions."""

import pytest
from ledger_edits import PAIR, exchange, hear, left, new
from token_caches import LONGEST, TURN


def test_a_reply_has_room_as_long_as_its_closing_fits_too() -> None:
    ledger = new()
    hear(ledger, *[1] * 80)
    ledger.begin_reply()
    fits = []
    for _ in range(7):
        fits.append(ledger.reply_fits)
        ledger.say()
    assert fits == [True] * 6 + [False]
    assert ledger.length == LONGEST


@pytest.mark.parametrize(("tokens", "dropped"), [(34, 0), (35, 1), (45, 1), (46, 2)])
def test_old_turns_give_way_one_by_one_to_what_is_read(tokens: int, dropped: int) -> None:
    ledger = new(keep=1.0)
    exchange(ledger, 5)  # 59 positions; 37 are free
    hear(ledger, *[1] * tokens)
    ledger.prefill(100)
    splices = [("splice", 4, 4 + PAIR * dropped)] if dropped else []
    assert left(ledger) == [*splices, ("append", 34, 35, *[1] * tokens)]
    assert len(ledger.pairs) == 5 - dropped


@pytest.mark.parametrize(("said", "dropped"), [(29, 0), (30, 3)])
def test_old_turns_give_way_to_a_token_of_the_reply(said: int, dropped: int) -> None:
    ledger = new(keep=1.0)
    exchange(ledger, 5)
    hear(ledger, 1)
    ledger.begin_reply()  # 65 positions
    for _ in range(said):
        ledger.say()
    left(ledger)
    ledger.make_room()
    assert left(ledger) == ([("splice", 4, 4 + PAIR * dropped)] if dropped else [])
    assert ledger.length == (94 if not dropped else 62)


def test_when_old_turns_are_dropped_a_share_of_what_may_be_remembered_stays() -> None:
    ledger = new(remember=30)  # 18 of 30 stay
    exchange(ledger, 3)
    assert ledger.length == 37
    assert ledger.prefill(5)
    assert left(ledger) == [("splice", 4, 26)]
    assert (ledger.length, len(ledger.pairs)) == (15, 1)
    assert not ledger.prefill(5)


@pytest.mark.parametrize(("remember", "dropped"), [(22, 0), (21, 1)])
def test_a_turn_begins_with_no_more_than_may_be_remembered(remember: int, dropped: int) -> None:
    ledger = new(remember=remember, keep=1.0)
    exchange(ledger, 2)
    assert ledger.prefill(5) == bool(dropped)
    assert left(ledger) == [("splice", 4, 4 + PAIR)] * dropped


def test_a_turn_begins_with_its_room_whatever_may_be_remembered() -> None:
    ledger = new(keep=1.0)
    exchange(ledger, 5)
    ledger.add_turn("user", "", [1] * 2)
    ledger.prefill(100)
    left(ledger)
    assert ledger.length == LONGEST - TURN
    assert not ledger.prefill(100)
    ledger.add_turn("user", "", [])
    ledger.prefill(100)
    left(ledger)
    assert ledger.prefill(100)
    assert left(ledger) == [("splice", 4, 4 + PAIR)]


def test_room_is_made_between_turns_only() -> None:
    ledger = new(remember=12, keep=1.0)
    exchange(ledger)
    hear(ledger, 1, 2)
    ledger.prefill(1)
    left(ledger)
    assert ledger.prefill(9)
    assert left(ledger) == [("append", 2)]
    ledger.begin_reply()
    assert not ledger.prefill(9)
    assert len(ledger.pairs) == 1


def test_text_longer_than_what_may_be_remembered_is_read_and_then_dropped() -> None:
    ledger = new(remember=10)
    ledger.add_turn("user", "b", [1] * 20)
    pieces = []
    while ledger.prefill(9):
        pieces.append(left(ledger)[0][0])
    assert pieces == ["append", "append", "append", "splice"]
    assert ledger.pairs == []
