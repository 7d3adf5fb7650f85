"""Suites by name: which conversations a run holds.

``duplex`` holds the first part of every family, so that two cores finish it against two agents in
minutes; ``duplex-full`` holds every case; each family is a suite of its own.
"""

from collections.abc import Callable
from itertools import chain
from typing import Final

from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import ScenarioError
from duplex_evals.families import (
    monologues,
    not_directed,
    pause_handling,
    recall,
    silence,
    smooth_turn,
    user_backchannel,
    user_interruption,
    vocal_tic,
)

FAMILIES: Final[dict[str, Callable[[], list[Scenario]]]] = {
    "pause_handling": pause_handling.scenarios,
    "smooth_turn": smooth_turn.scenarios,
    "user_interruption": user_interruption.scenarios,
    "user_backchannel": user_backchannel.scenarios,
    "vocal_tic": vocal_tic.scenarios,
    "third_party": not_directed.third_party,
    "background_speech": not_directed.background_speech,
    "agent_backchannel": monologues.agent_backchannel,
    "silence": silence.scenarios,
    "long_monologue": monologues.long_monologue,
    "correction": recall.correction,
    "memory": recall.memory,
}
STANDARD: Final = 20  # cases of a family in the suite "duplex", ten of each kind of voice
STANDARD_OF_LONG: Final = {  # longer conversations, fewer of them
    "agent_backchannel": 12,
    "long_monologue": 12,
    "correction": 14,
    "memory": 12,
}


def _standard() -> list[Scenario]:
    kept = (made()[: STANDARD_OF_LONG.get(name, STANDARD)] for name, made in FAMILIES.items())
    return list(chain.from_iterable(kept))


def _full() -> list[Scenario]:
    return list(chain.from_iterable(made() for made in FAMILIES.values()))


SUITES: Final[dict[str, Callable[[], list[Scenario]]]] = {
    "duplex": _standard,
    "duplex-full": _full,
    **FAMILIES,
}


def suite(name: str, limit: int | None = None) -> list[Scenario]:
    """The scenarios of a suite, family by family; of each family at most the first ``limit``.

    Within a family synthetic and human voices take turns. Raises ScenarioError for an unknown
    name and ClipError where human recordings are not installed.
    """
    if name not in SUITES:
        raise ScenarioError(f"no suite is called {name!r}; known: {', '.join(SUITES)}")
    found = SUITES[name]()
    if limit is None:
        return found
    kept: list[Scenario] = []
    taken: dict[str, int] = {}
    for scenario in found:
        taken[scenario.family] = taken.get(scenario.family, 0) + 1
        if taken[scenario.family] <= limit:
            kept.append(scenario)
    return kept
