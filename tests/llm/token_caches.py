"""Caches that are lists of tokens, for the tests of the ledger."""

import numpy as np

from duplex_agent.llm.chat import ChatFormat
from duplex_agent.llm.requests import Append, Cache, Edit, Fork, Splice, Truncate

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


class TokenCaches:
    """Executes edits on lists of tokens."""

    def __init__(self) -> None:
        self.tokens: dict[int, list[int]] = {}
        self.appended: list[int] = []  # positions of each append
        self._caches: list[Cache] = []  # kept, so that no id is used twice

    def of(self, cache: Cache) -> list[int]:
        self._caches.append(cache)
        return self.tokens.setdefault(id(cache), [])

    def edit(self, edit: Edit) -> None:
        tokens = self.of(edit.cache)
        match edit:
            case Fork(ids=ids):
                assert tokens == []
                tokens += ids
            case Append(rows=rows):
                added = [int(i) for piece in rows for i in np.ravel(np.asarray(piece))]
                assert added, "an append of nothing"
                assert len(tokens) + len(added) <= LONGEST
                tokens += added
                self.appended.append(len(added))
            case Truncate(length=length):
                assert 0 <= length <= len(tokens)
                del tokens[length:]
            case Splice(start=start, end=end, filling=filling):
                assert 0 <= start <= end <= len(tokens)
                tokens[start:end] = self.of(filling) if filling else []
                assert len(tokens) <= LONGEST
