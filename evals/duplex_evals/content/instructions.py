"""Did the reply take the form that was asked for? Rules only, in the manner of IFEval."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from duplex_evals.content.answers import first_place, holds_answer, normalise
from duplex_evals.content.spoken_qa import one_turn
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.texts import read_rows

_SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)")


@dataclass(frozen=True)
class Instruction:
    """A request and the rule its reply is held against; ``system`` a prompt, "" for none."""

    id: str
    ask: str
    check: str
    words: tuple[str, ...] = ()
    n: int = 0
    system: str = ""

    def kept(self, reply: str) -> bool:
        """Whether ``reply`` keeps the rule; an empty reply keeps none."""
        return bool(normalise(reply)) and CHECKS[self.check](reply, self.words, self.n)


def _words(reply: str) -> list[str]:
    # Not normalised: "it's" is one word to whoever counts.
    return re.findall(r"[\w'’-]+", reply)


def _in_order(reply: str, words: Sequence[str], n: int) -> bool:
    """Each of ``words`` after the one before it."""
    said = normalise(reply).split()
    at = 0
    for word in words:
        place = first_place(" ".join(said[at:]), [word])
        if place is None:
            return False
        at += place + len(normalise(word).split())
    return True


def _starts(reply: str, words: Sequence[str], n: int) -> bool:
    return first_place(reply, words) == 0


def _ends(reply: str, words: Sequence[str], n: int) -> bool:
    said = normalise(reply)
    return any(f" {said}".endswith(f" {normalise(word)}") for word in words)


def _names(reply: str, words: Sequence[str], n: int) -> bool:
    """At least ``n`` different ones of ``words``; a plural is the same thing as its singular."""
    named = {word.lower().removesuffix("s") for word in words if holds_answer(reply, [word])}
    return len(named) >= n


def _contains_all(reply: str, words: Sequence[str], n: int) -> bool:
    """All of ``words``, each with its variants parted by |."""
    return all(holds_answer(reply, word.split("|")) for word in words)


def _avoids(reply: str, words: Sequence[str], n: int) -> bool:
    """None of ``words`` in a reply of at least ``n`` words: silence avoids everything."""
    return not holds_answer(reply, words) and len(_words(reply)) >= n


CHECKS: Final[dict[str, Callable[[str, Sequence[str], int], bool]]] = {
    "max_words": lambda reply, words, n: len(_words(reply)) <= n,
    "min_words": lambda reply, words, n: len(_words(reply)) >= n,
    "contains": lambda reply, words, n: holds_answer(reply, words),
    "contains_all": _contains_all,
    "in_order": _in_order,
    "starts": _starts,
    "ends": _ends,
    "names": _names,
    "avoids": _avoids,
    "sentences": lambda reply, words, n: len(_SENTENCE_END.findall(reply)) == n,
    "question": lambda reply, words, n: reply.strip().endswith("?"),
}


@lru_cache(maxsize=1)
def instructions() -> dict[str, Instruction]:
    """The requests by id."""
    rows = read_rows("instructions.yaml")
    return {row["id"]: Instruction(**{**row, "words": tuple(row.get("words", ()))}) for row in rows}


def scenarios() -> list[Scenario]:
    """One conversation per request, with its system prompt where it has one."""
    return [
        one_turn(i.id, i.ask, number, subtype=i.check).model_copy(update={"instructions": i.system})
        for number, i in enumerate(instructions().values())
    ]
