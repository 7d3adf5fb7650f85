"""The user only says "uh-huh" while the agent speaks: the agent should go on.

The human recordings hold no true backchannel: theirs is an "oh", a "thank you", or a hum cut from
the spoken letter M, alone or twice.
"""

from typing import Final

from duplex_evals.conversation.scenario import Part, Scenario, Voice
from duplex_evals.families.building import (
    WORD_GAP_MS,
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
from duplex_evals.families.human_lines import HUM, TURNS

FAMILY: Final = "user_backchannel"
# "Mm-hmm" is missing: the synthesisers spell it out.
WORDS: Final = ("Uh-huh.", "Yeah.", "Right.", "Okay.", "I see.", "Sure.", "Hmm.", "Oh.")
TAIL_S = 3.0


def scenarios() -> list[Scenario]:
    """40 cases; the backchannel comes 0.5 to 1.2 s after the agent began."""
    return cases(20, _synthetic, _human)


def _synthetic(index: int) -> Scenario:
    word = WORDS[index % len(WORDS)]
    opener = spoken(index, lines("openers")[index])
    return _case(index, "synthetic", word, opener, [spoken(index, word)])


def _human(index: int) -> Scenario:
    hum = cut(*HUM)
    again = hum.model_copy(update={"gap_ms": WORD_GAP_MS})
    word, parts = (
        ("oh", [recorded("asterisk:digits/oh")]),
        ("mm", [hum]),
        ("mm-mm", [hum, again]),
        ("thank you", [recorded("asterisk:auth-thankyou")]),
    )[index % 4]
    return _case(index, "human", word, recorded(f"asterisk:{TURNS[index]}"), parts)


def _case(index: int, voice: Voice, word: str, opener: Part, parts: list[Part]) -> Scenario:
    anchor = while_speaking("opener", spread(index, 500, 1_200))
    return Scenario(
        id=f"{FAMILY}-{index:02d}-{voice}",
        family=FAMILY,
        subtype=word.strip(".").lower(),
        voice=voice,
        seed=index,
        items=[
            turn("opener", [opener]),
            item("backchannel", "backchannel", "continue", parts, anchor),
        ],
        tail_s=TAIL_S,
    )
