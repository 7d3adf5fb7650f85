"""Two runs of the same conversations, compared bit for bit: what a change of the code changed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_evals.conversation.record import Record, load_record
from duplex_evals.errors import ResultError


@dataclass(frozen=True)
class Difference:
    """One conversation in both runs.

    ``first_event`` is the number of the first event that differs, None when all are equal;
    ``audio`` the largest difference of the agent's samples (16-bit steps), and ``first_s`` where
    they differ first. Recordings of unequal length differ by their whole range.
    """

    scenario: str
    first_event: int | None
    audio: int
    first_s: float | None

    @property
    def equal(self) -> bool:
        return self.first_event is None and self.audio == 0

    def __str__(self) -> str:
        if self.equal:
            return f"{self.scenario}: equal"
        events = "equal" if self.first_event is None else f"differ from number {self.first_event}"
        at = "" if self.first_s is None else f" from {self.first_s:.2f} s"
        return f"{self.scenario}: events {events}; audio differs by {self.audio} steps{at}"


def differences(before: Path, after: Path) -> list[Difference]:
    """Compare every conversation that both runs hold, by scenario.

    Raises ResultError when they have none in common or a record cannot be read.
    """
    ours, theirs = _records(before), _records(after)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise ResultError(f"{before} and {after} have no conversation in common")
    return [_compare(name, load_record(ours[name]), load_record(theirs[name])) for name in common]


def _records(folder: Path) -> dict[str, Path]:
    """Scenario -> folder of its record; another hash of settings is the same scenario."""
    files = folder.rglob("records/*/record.json")
    return {file.parent.name.rpartition("-")[0]: file.parent for file in files}


def _compare(name: str, one: Record, other: Record) -> Difference:
    pairs = zip(one.events, other.events, strict=False)
    unequal = [number for number, (a, b) in enumerate(pairs) if a != b]
    shorter = min(len(one.events), len(other.events))
    if not unequal and len(one.events) != len(other.events):
        unequal = [shorter]
    first_event = unequal[0] if unequal else None
    if len(one.agent) != len(other.agent):
        return Difference(name, first_event, 65_535, None)
    steps = np.rint(np.abs(one.agent - other.agent) * 32_768).astype(int)
    changed = np.flatnonzero(steps)
    first_s = float(changed[0]) / AGENT_RATE_HZ if len(changed) else None
    return Difference(name, first_event, int(steps.max(initial=0)), first_s)
