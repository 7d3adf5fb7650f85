"""Pauses inside a turn: the agent should wait. As in Full-Duplex-Bench 1, and somewhat longer.

Human cases join prompts that were recorded to be continued, so the voice itself holds the floor;
synthetic ones end their first half on a comma.
"""

from typing import Final

from duplex_evals.conversation.scenario import Part, Scenario
from duplex_evals.families.building import cases, lines, phrase, spoken, spread, turn
from duplex_evals.families.human_lines import HELD

FAMILY: Final = "pause_handling"
PAUSES_MS = (("400-700 ms", 400, 700), ("700-1000 ms", 700, 1_000), ("1000-1500 ms", 1_000, 1_500))
TAIL_S = 4.0


def scenarios() -> list[Scenario]:
    """40 cases, the pauses in three classes of length."""
    return cases(20, _synthetic, _human)


def _synthetic(index: int) -> Scenario:
    first, second = (half.strip() for half in lines("pauses")[index].split("|"))
    held = first if first.endswith(",") else f"{first},"
    return _case(index, "synthetic", [spoken(index, held)], [spoken(index, second)])


def _human(index: int) -> Scenario:
    first, second = HELD[index]
    return _case(index, "human", phrase(*first), phrase(*second))


def _case(index: int, voice: str, first: list[Part], second: list[Part]) -> Scenario:
    subtype, low, high = PAUSES_MS[index % len(PAUSES_MS)]
    pause = second[0].model_copy(update={"gap_ms": spread(index, low, high)})
    return Scenario.model_validate(
        {
            "id": f"{FAMILY}-{index:02d}-{voice}",
            "family": FAMILY,
            "subtype": subtype,
            "voice": voice,
            "seed": index,
            "items": [turn("turn", [*first, pause, *second[1:]])],
            "tail_s": TAIL_S,
        }
    )
