"""Ledgers for tests, and the edits that leave them as plain numbers."""

from typing import Any

import numpy as np
from token_caches import CHAT, LONGEST, TURN

from duplex_agent.llm.ledger import Ledger
from duplex_agent.llm.requests import Append, Fork, Splice, Truncate

PAIR = 11  # positions of a turn pair of three tokens and two


def new(remember: int = LONGEST, keep: float = 0.6) -> Ledger:
    """A ledger whose opening edit has left already."""
    ledger = Ledger(CHAT, LONGEST, TURN, remember, keep)
    ledger.edits()
    return ledger


def left(ledger: Ledger) -> list[tuple[Any, ...]]:
    """The edits since the last call: the verb, its numbers, and "other" for a second cache."""
    made: list[tuple[Any, ...]] = []
    for edit in ledger.edits():
        other = () if edit.cache is ledger.cache else ("other",)
        match edit:
            case Fork(ids=ids):
                made.append(("fork", *other, *ids))
            case Append(rows=rows):
                tokens = [int(i) for piece in rows for i in np.ravel(np.asarray(piece))]
                made.append(("append", *other, *tokens))
            case Truncate(length=length):
                made.append(("truncate", *other, length))
            case Splice(start=start, end=end, filling=filling):
                made.append(("splice", start, end, *(["other"] if filling else [])))
    return made


def hear(ledger: Ledger, *tokens: int) -> None:
    ledger.hear(np.array([[i] for i in tokens], np.float32), "".join(map(letter, tokens)))


def letter(token: int) -> str:
    return chr(ord("a") + token)


def exchange(ledger: Ledger, count: int = 1) -> None:
    """Turn pairs "bcd" and "ef", of `PAIR` positions each."""
    for _ in range(count):
        hear(ledger, 1, 2, 3)
        ledger.begin_reply()
        for _ in range(2):
            ledger.say()
        ledger.end_reply(2, "ef")
    left(ledger)


def settle(ledger: Ledger) -> None:
    while ledger.prefill(100):
        pass
