"""Sounds of a mouth that say nothing: "um", a cough, a breath, over the agent and into silence.

Coughs and breaths are shaped noise. The human ones are cut from spoken letters: a hum, a drawn-out
R, the burst of an H.
"""

from typing import Final

from duplex_evals.conversation.scenario import Anchor, Clip, Expect, Item, Part, Scenario, Voice
from duplex_evals.families.building import (
    cases,
    cut,
    item,
    lines,
    not_for_the_agent,
    recorded,
    spoken,
)
from duplex_evals.families.human_lines import SMALL_SOUNDS, TURNS

FAMILY: Final = "vocal_tic"
TICS: Final = ("Um.", "noise:cough", "Uh.", "noise:breath", "Er.")
TAILS_S: Final = (3.0, 4.0)  # after the agent was spoken over, after it was silent


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
    def audio(expect: Expect, anchor: Anchor) -> Item:
        return item("tic", "vocal_tic", expect, [tic], anchor)

    return not_for_the_agent(FAMILY, index, voice, opener, audio, TAILS_S)
