"""The user speaks into the agent's reply and means it: follow-up, negation, topic switch, stop."""

from typing import Final

from duplex_evals.conversation.scenario import Expect, Part, Scenario, Voice
from duplex_evals.families.building import (
    cases,
    item,
    lines,
    phrase,
    recorded,
    spoken,
    spread,
    turn,
    while_speaking,
)
from duplex_evals.families.human_lines import (
    FOLLOW_UPS,
    NEGATIONS,
    STOPS,
    TOPIC_SWITCHES,
    TURNS,
)

FAMILY: Final = "user_interruption"
TEXTS: Final = ("follow_ups", "negations", "topic_switches", "stops")
SUBTYPES: Final = ("follow_up", "negation", "topic_switch", "stop")
TAIL_S = 5.0


def scenarios() -> list[Scenario]:
    """40 cases, the four kinds in turn; the user comes in 0.5 to 1.2 s after the agent began."""
    return cases(20, _synthetic, _human)


def _synthetic(index: int) -> Scenario:
    opener = spoken(index, lines("openers")[index])
    text = lines(TEXTS[index % 4])[index // 4]
    return _case(index, "synthetic", opener, [spoken(index, text)])


def _human(index: int) -> Scenario:
    opener = recorded(f"asterisk:{TURNS[-1 - index]}")
    names = (
        (FOLLOW_UPS[index // 4],),
        NEGATIONS[index // 4],
        (TOPIC_SWITCHES[index // 4],),
        (STOPS[index // 4],),
    )[index % 4]
    return _case(index, "human", opener, phrase(*names))


def _case(index: int, voice: Voice, opener: Part, cut_in: list[Part]) -> Scenario:
    subtype = SUBTYPES[index % 4]
    expect: Expect = "stop" if subtype == "stop" else "reply"
    anchor = while_speaking("opener", spread(index, 500, 1_200))
    return Scenario(
        id=f"{FAMILY}-{index:02d}-{voice}",
        family=FAMILY,
        subtype=subtype,
        voice=voice,
        seed=index,
        items=[
            turn("opener", [opener]),
            item("interruption", "interruption", expect, cut_in, anchor),
        ],
        tail_s=TAIL_S,
    )
