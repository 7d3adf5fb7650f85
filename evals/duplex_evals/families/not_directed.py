"""Speech that is not for the agent: the user turns to somebody else, or others speak behind.

Both go through the filters of Full-Duplex-Bench 1.5. They share all but voice, text and filter, so
one module makes both families.
"""

from typing import Final

from duplex_evals.conversation.pools import transcripts
from duplex_evals.conversation.scenario import (
    Anchor,
    Expect,
    Family,
    Item,
    Kind,
    Part,
    Scenario,
    Voice,
)
from duplex_evals.families.building import (
    cases,
    item,
    lines,
    not_for_the_agent,
    recorded,
    spoken,
    voice_of,
)
from duplex_evals.families.human_lines import TURNS

TAILS_S: Final = (2.5, 4.0)  # after the agent was spoken over, after it was silent
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
    heard_as = "third_party" if family == "third_party" else "background"

    def other(expect: Expect, anchor: Anchor) -> Item:
        plain = item("other", KINDS[family], expect, others, anchor)
        return plain.model_copy(update={"filter": heard_as})

    return not_for_the_agent(family, index, voice, opener, other, TAILS_S)
