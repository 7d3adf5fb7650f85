"""A plain turn, then silence: the agent should answer soon."""

from typing import Final

from duplex_evals.conversation.pools import transcripts
from duplex_evals.conversation.scenario import Part, Scenario, Voice
from duplex_evals.families.building import cases, lines, recorded, spoken, turn
from duplex_evals.families.human_lines import TURNS

FAMILY: Final = "smooth_turn"
TAIL_S = 5.0  # as in Full-Duplex-Bench 1


def scenarios() -> list[Scenario]:
    """40 cases: questions, statements and requests."""
    return cases(
        20,
        lambda index: _case(index, "synthetic", spoken(index, lines("turns")[index])),
        lambda index: _case(index, "human", recorded(_source(index))),
    )


def _source(index: int) -> str:
    """Every fourth human line comes from the novel."""
    if index % 4 == 3:
        return f"librivox:{sorted(transcripts('librivox'))[index // 4]}"
    return f"asterisk:{TURNS[index]}"


def _case(index: int, voice: Voice, part: Part) -> Scenario:
    return Scenario(
        id=f"{FAMILY}-{index:02d}-{voice}",
        family=FAMILY,
        voice=voice,
        seed=index,
        items=[turn("turn", [part])],
        tail_s=TAIL_S,
    )
