"""A user who speaks for long: chances for a backchannel, and turns that only end at the end."""

from itertools import chain

from duplex_evals.conversation.scenario import Family, Item, Part, Scenario, Voice
from duplex_evals.families.building import blocks, cases, cut, spoken, spread, turn
from duplex_evals.families.human_lines import MONOLOGUES, NARRATIVES

TAIL_S = 4.0


def agent_backchannel() -> list[Scenario]:
    """40 stories of about ten seconds; between sentences an "mm-hmm" would be welcome."""
    family: Family = "agent_backchannel"
    return cases(
        20,
        lambda index: _case(family, index, "synthetic", _story(index, index % 10)),
        lambda index: _case(family, index, "human", [cut(*NARRATIVES[index])]),
    )


def long_monologue() -> list[Scenario]:
    """40 turns of 13 to 25 seconds with the pauses of a speaker who goes on."""
    family: Family = "long_monologue"
    return cases(
        20,
        lambda index: _case(family, index, "synthetic", _two_stories(index)),
        lambda index: _case(family, index, "human", [cut(*MONOLOGUES[index])]),
    )


def _story(index: int, number: int) -> list[Part]:
    """Sentences parted by 250 to 450 ms: shorter than the pause that ends a turn."""
    return [
        spoken(index, sentence, spread(index + place, 250, 450) if place else 0)
        for place, sentence in enumerate(blocks("stories")[number])
    ]


def _two_stories(index: int) -> list[Part]:
    first, second = _story(index, index % 10), _story(index, (index + 1 + index // 10) % 10)
    joint = second[0].model_copy(update={"gap_ms": spread(index, 300, 500)})
    return list(chain(first, [joint], second[1:]))


def _case(family: Family, index: int, voice: Voice, parts: list[Part]) -> Scenario:
    told = turn("turn", parts)
    if family == "agent_backchannel":
        told = Item.model_validate(told.model_dump() | {"expect": "backchannel"})
    return Scenario(
        id=f"{family}-{index:02d}-{voice}",
        family=family,
        voice=voice,
        seed=index,
        items=[told],
        tail_s=TAIL_S,
    )
