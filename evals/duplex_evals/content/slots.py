"""What was said earlier must decide what is right later: memory of facts and of corrections."""

from dataclasses import dataclass
from functools import lru_cache

from duplex_evals.content.answers import holds_answer
from duplex_evals.content.spoken_qa import LEAD_MS, TAIL_S, voice_of
from duplex_evals.conversation.scenario import Anchor, Clip, Item, Part, Scenario
from duplex_evals.texts import read_rows

NEXT_TURN_MS = 700  # after the agent has finished
PATIENCE_MS = 8_000


@dataclass(frozen=True)
class SlotCase:
    """``turns`` of the user; ``want`` belongs into the last reply, ``stale`` was corrected."""

    id: str
    kind: str
    turns: tuple[str, ...]
    want: tuple[str, ...]
    stale: tuple[str, ...] = ()

    def filled(self, reply: str) -> bool:
        """Whether the last reply holds what is true now, and not first what is no longer."""
        return holds_answer(reply, self.want, self.stale)


@lru_cache(maxsize=1)
def slot_cases() -> dict[str, SlotCase]:
    """The conversations by id, memory and correction in turn."""
    cases = [
        SlotCase(
            row["id"],
            row["kind"],
            tuple(row["turns"]),
            tuple(row["want"]),
            tuple(row.get("stale", ())),
        )
        for row in read_rows("slots.yaml")
    ]
    place = {case.id: [c.id for c in cases if c.kind == case.kind].index(case.id) for case in cases}
    return {case.id: case for case in sorted(cases, key=lambda c: place[c.id])}


def scenarios() -> list[Scenario]:
    """One conversation per case; every turn waits for the agent to finish.

    When a reply does not come, the later turns are never said; such a case counts as not filled.
    """
    return [_scenario(case, number) for number, case in enumerate(slot_cases().values())]


def _scenario(case: SlotCase, number: int) -> Scenario:
    items = []
    for turn, text in enumerate(case.turns):
        anchor = Anchor(delay_ms=LEAD_MS)
        if turn:
            anchor = Anchor(
                to="agent_end",
                item=f"turn{turn}",
                delay_ms=NEXT_TURN_MS,
                timeout_ms=PATIENCE_MS,
            )
        items.append(
            Item(
                name=f"turn{turn + 1}",
                kind="turn",
                expect="reply",
                parts=[Part(clip=Clip(text=text, voice=voice_of(number)))],
                anchor=anchor,
                answers=list(case.want) if turn == len(case.turns) - 1 else [],
            )
        )
    return Scenario(
        id=case.id,
        family="memory" if case.kind == "memory" else "correction",
        seed=number,
        items=items,
        tail_s=TAIL_S,
    )
