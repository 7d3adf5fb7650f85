"""From the records of a run to its report."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from duplex_agent.clock import AGENT_RATE_HZ
from duplex_evals.audio.segments import speech_segments
from duplex_evals.conversation.record import Record, load_record
from duplex_evals.metrics.summary import per_record, summarise
from duplex_evals.report.document import Case, Report
from duplex_evals.report.timeline import timeline
from duplex_evals.runners.batch import Outcome


class Stored(Sequence[Record]):
    """Records on disk, each read when it is asked for: an hour of sound need not fit in memory."""

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders

    def __len__(self) -> int:
        return len(self._folders)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "Stored": ...

    def __getitem__(self, index: int | slice) -> "Record | Stored":
        if isinstance(index, slice):
            return Stored(self._folders[index])
        return load_record(self._folders[index])


def build(
    outcomes: Iterable[Outcome], meta: dict[str, Any], out: Path, abilities: frozenset[str]
) -> Report:
    """The report of a run, conversations in the order given. Raises ResultError."""
    outcomes = list(outcomes)
    kept = [o.folder for o in outcomes if not o.error]
    cases = [case_of(o, out) for o in outcomes]
    return Report(meta, summarise(Stored(kept), abilities), cases)


def case_of(outcome: Outcome, out: Path) -> Case:
    """What the report of the run in ``out`` says about one conversation."""
    scenario = outcome.scenario
    case = Case(scenario.id, scenario.family, scenario.subtype, scenario.voice)
    if outcome.error:
        return replace(case, error=outcome.error)
    record = load_record(outcome.folder)
    return replace(
        case,
        folder=outcome.folder.relative_to(out).as_posix(),
        duration_s=round(record.duration_s, 2),
        metrics=per_record(record),
        timeline=timeline(record, speech_segments(record.agent, AGENT_RATE_HZ)),
    )
