"""Sounds of a mouth that say nothing: "um", a cough, a breath, over the agent and into silence.

Coughs and breaths are shaped noise. The human ones are cut from spoken letters: a hum, a drawn-out
R, the burst of an H.
"""

from typing import Final

from duplex_evals.families.building import (
    cases,
    cut,
    item,
    lines,
    recorded,
    spoken,
    spread,
    turn,
    while_speaking,
)
from duplex_evals.families.human_lines import SMALL_SOUNDS, TURNS
from duplex_evals.scenario import Anchor, Clip, Part, Scenario, Voice

FAMILY: Final = "vocal_tic"
TICS: Final = ("Um.", "noise:cough", "Uh.", "noise:breath", "Er.")
SPEAKING_TAIL_S, SILENT_TAIL_S = 3.0, 4.0


def scenarios() -> list[Scenario]:
    """40 cases, in turn while the agent speaks and while nobody does."""
    return cases(20, _synthetic, _human)


def _synthetic(index: int) -> Scenario:
    tic = TICS[index // 2 % len(TICS)]
    made = tic.startswith("noise:")
    part = Part(clip=Clip(file=tic, end_s=0.7)) if made else spoken(index, tic)
    return _case(index, "synthetic", spoken(index, lines("openers")[-1 - index]), part)


def _human(index: int) -> Scenario:
    part = cut(*SMALL_SOUNDS[index // 2 % len(SMALL_SOUNDS)])
    return _case(index, "human", recorded(f"asterisk:{TURNS[index]}"), part)


def _case(index: int, voice: Voice, opener: Part, tic: Part) -> Scenario:
    if index % 2 == 0:
        anchor = while_speaking("opener", spread(index, 500, 1_200))
        items = [
            turn("opener", [opener]),
            item("tic", "vocal_tic", "continue", [tic], anchor),
        ]
    else:
        anchor = Anchor(delay_ms=spread(index, 800, 2_000))
        items = [item("tic", "vocal_tic", "ignore", [tic], anchor)]
    return Scenario(
        id=f"{FAMILY}-{index:02d}-{voice}",
        family=FAMILY,
        subtype="while_silent" if index % 2 else "while_speaking",
        voice=voice,
        seed=index,
        items=items,
        tail_s=SILENT_TAIL_S if index % 2 else SPEAKING_TAIL_S,
    )
