"""Speech that is not for the agent: the user turns to somebody else, or others speak behind.

Both go through the filters of Full-Duplex-Bench 1.5. They share all but voice, text and filter, so
one module makes both families.
"""

from typing import Final

from duplex_evals.families.building import (
    cases,
    item,
    lines,
    recorded,
    spoken,
    spread,
    turn,
    voice_of,
    while_speaking,
)
from duplex_evals.families.human_lines import TURNS
from duplex_evals.pools import transcripts
from duplex_evals.scenario import Anchor, Family, Item, Kind, Part, Scenario, Voice

SPEAKING_TAIL_S, SILENT_TAIL_S = 2.5, 4.0
OTHER: Final = 2  # the voice behind is this many further in the list than the user's
KINDS: Final[dict[Family, Kind]] = {
    "third_party": "third_party",
    "background_speech": "background",
}


def third_party() -> list[Scenario]:
    """40 cases of the user speaking to somebody in the room, in turn over the agent and not."""
    return cases(20, lambda i: _synthetic("third_party", i), lambda i: _human("third_party", i))


def background_speech() -> list[Scenario]:
    """40 cases of another voice behind the user, in turn over the agent and not."""
    family: Family = "background_speech"
    return cases(20, lambda i: _synthetic(family, i), lambda i: _human(family, i))


def _synthetic(family: Family, index: int) -> Scenario:
    opener = spoken(index, lines("openers")[(index + 5) % 20])
    if family == "third_party":
        other = spoken(index, lines("third_party")[index])
    else:
        other = spoken(index + OTHER, lines("background")[index])
        assert other.clip.voice != voice_of(index)
    return _case(family, index, "synthetic", opener, [other])


def _human(family: Family, index: int) -> Scenario:
    opener = recorded(f"asterisk:{TURNS[(index + 3) % 20]}")
    if family == "third_party":
        others = [recorded(f"asterisk:{TURNS[(index + 11) % 20]}")]
    else:  # the reader of the novel
        names = sorted(transcripts("librivox"))
        others = [recorded(f"librivox:{names[(index // 2 + index % 2) % len(names)]}")]
    return _case(family, index, "human", opener, others)


def _case(family: Family, index: int, voice: Voice, opener: Part, others: list[Part]) -> Scenario:
    if index % 2 == 0:
        anchor = while_speaking("opener", spread(index, 500, 1_200))
        items = [turn("opener", [opener]), _other(family, "continue", others, anchor)]
    else:
        anchor = Anchor(delay_ms=spread(index, 800, 2_000))
        items = [_other(family, "ignore", others, anchor)]
    return Scenario(
        id=f"{family}-{index:02d}-{voice}",
        family=family,
        subtype="while_silent" if index % 2 else "while_speaking",
        voice=voice,
        seed=index,
        items=items,
        tail_s=SILENT_TAIL_S if index % 2 else SPEAKING_TAIL_S,
    )


def _other(family: Family, expect: str, others: list[Part], anchor: Anchor) -> Item:
    plain = item("other", KINDS[family], "anything", others, anchor)
    heard_as = "third_party" if family == "third_party" else "background"
    return plain.model_copy(update={"expect": expect, "filter": heard_as})
