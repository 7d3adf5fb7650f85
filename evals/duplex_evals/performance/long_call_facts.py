"""What the user of a long call tells and asks for later, and when: a plan without sound.

Facts come from templates with changing values, so the answer to a question is never left over
from an hour ago; a template is told again only after it was asked for.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from duplex_evals.texts import lines, read

AGES_MIN: Final = (1, 3, 5)
EVERY_S: Final = 30  # a fact is told about as often

Kind = Literal["fact", "question", "talk"]


@dataclass(frozen=True)
class FactTemplate:
    """A sentence with a gap, the question for what stood there, and what may stand there."""

    sentence: str
    question: str
    values: tuple[str, ...]


@dataclass
class Fact:
    """A fact that was told. Times in s of the call; the reply is None until it was asked for."""

    question: str
    value: str
    age_min: int
    told_s: float
    understood: str = ""  # what the ear made of the sentence
    asked_s: float | None = None
    question_understood: str = ""
    reply: str | None = None

    @property
    def right(self) -> bool:
        """Whether the reply names the value."""
        return says(self.reply or "", self.value)

    @property
    def heard(self) -> bool:
        """Whether the value stood in what was understood of the sentence."""
        return says(self.understood, self.value)


@dataclass(frozen=True)
class Line:
    """What the user says next; ``fact`` is what it tells or asks for."""

    kind: Kind
    text: str
    fact: Fact | None = None


@dataclass
class TalkPlan:
    """Decides what the user says next. Everything random follows from ``seed``."""

    seed: int
    facts: list[Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._talk: list[str] = []
        self._pending: dict[FactTemplate, Fact] = {}
        self._last: dict[FactTemplate, str] = {}
        self._ages: list[int] = []
        self._told_s = float("-inf")

    def next(self, now_s: float) -> Line:
        """The line for this moment: a question that is due, a new fact, or small talk."""
        for template, fact in list(self._pending.items()):
            if now_s >= fact.told_s + fact.age_min * 60:
                del self._pending[template]
                fact.asked_s = now_s
                return Line("question", fact.question, fact)
        free = [template for template in templates() if template not in self._pending]
        if free and now_s >= self._told_s + EVERY_S:
            return self._tell(self._random.choice(free), now_s)
        if not self._talk:
            self._talk = self._random.sample(small_talk(), len(small_talk()))
        return Line("talk", self._talk.pop())

    def _tell(self, template: FactTemplate, now_s: float) -> Line:
        if not self._ages:
            self._ages = self._random.sample(AGES_MIN, len(AGES_MIN))
        values = [value for value in template.values if value != self._last.get(template)]
        value = self._last[template] = self._random.choice(values)
        fact = Fact(template.question, value, self._ages.pop(), now_s)
        self._pending[template] = fact
        self.facts.append(fact)
        self._told_s = now_s
        return Line("fact", template.sentence.format(value), fact)


def says(text: str, value: str) -> bool:
    """Whether a word of ``text`` begins with ``value``, whatever the case."""
    return re.search(rf"\b{re.escape(value)}", text, re.IGNORECASE) is not None


def templates() -> tuple[FactTemplate, ...]:
    """The fixed templates."""
    blocks = read("long_call_facts.txt").strip().split("\n\n")
    parted = [block.splitlines() for block in blocks]
    return tuple(
        FactTemplate(sentence, question, tuple(values.removeprefix("= ").split(", ")))
        for sentence, question, values in parted
    )


def small_talk() -> list[str]:
    """Turns that tell no fact and ask for none."""
    names = ("duplex_small_talk", "duplex_turns", "questions")
    return [line for name in names for line in lines(f"{name}.txt") if line]
