"""Everyday questions, asked aloud and in writing: the speech-text gap in right answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from duplex_evals.content.answers import holds_answer
from duplex_evals.conversation.scenario import Anchor, Clip, Item, Part, Scenario
from duplex_evals.texts import read_rows

LEAD_MS: Final = 500
TAIL_S: Final = 7.0  # a reply of the agent's usual length, begun two seconds late
VOICES: Final = (
    "tebukuro", "tebukuro-kumo", "tebukuro", "tebukuro-kumo", "rms",
    "tebukuro", "tebukuro-kumo", "en-us+m7", "rms", "en-gb+f4",
)  # fmt: skip
"""Held-out voices in turn: six of ten natural, two flite, two espeak-ng."""


@dataclass(frozen=True)
class Question:
    """``answers``: any of them makes a reply right; ``distractors``: the other choices it names."""

    id: str
    kind: str
    ask: str
    answers: tuple[str, ...]
    distractors: tuple[str, ...] = ()

    def right(self, reply: str) -> bool:
        """Whether ``reply`` holds the answer."""
        return holds_answer(reply, self.answers, self.distractors)


@lru_cache(maxsize=1)
def questions() -> dict[str, Question]:
    """The 150 questions by id, in the order in which a limited run takes them."""
    rows = read_rows("spoken_questions.yaml")
    return {
        row["id"]: Question(
            row["id"],
            row["kind"],
            row["ask"],
            tuple(row["answers"]),
            tuple(row.get("distractors", ())),
        )
        for row in rows
    }


def voice_of(number: int) -> str:
    """Which voice speaks the case of that number."""
    return VOICES[number % len(VOICES)]


def scenarios() -> list[Scenario]:
    """One conversation per question."""
    return [
        one_turn(q.id, q.ask, number, subtype=q.kind, answers=q.answers)
        for number, q in enumerate(questions().values())
    ]


def one_turn(
    id_: str, ask: str, number: int, subtype: str, answers: Sequence[str] = ()
) -> Scenario:
    """A conversation in which the user says one thing and waits for the reply."""
    item = Item(
        name="question",
        kind="turn",
        expect="reply",
        parts=[Part(clip=Clip(text=ask, voice=voice_of(number)))],
        anchor=Anchor(delay_ms=LEAD_MS),
        answers=[answer.lower() for answer in answers],
    )
    return Scenario(
        id=id_, family="question", subtype=subtype, seed=number, items=[item], tail_s=TAIL_S
    )
