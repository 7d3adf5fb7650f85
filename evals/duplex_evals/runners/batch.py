"""A list of scenarios through a runner: resumable, in parallel, and nothing finished is lost.

Every conversation is stored as soon as it has been held, in a folder whose name carries a hash of
(agent, scenario, seed); what is already there is not held again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

from duplex_agent.errors import DuplexError
from duplex_evals.conversation.record import VERSION, Record, save_record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import EvalError, ResultError, TargetError

GIVE_UP_AFTER: Final = 3  # conversations in a row that the target broke: it is dead
FULL_BELOW_BYTES: Final = 1 << 20

Runner = Callable[[Scenario, int], Record]
"""Holds one conversation: (scenario, seed) -> record."""
State = Literal["held", "cached", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario. ``folder`` holds its record unless it failed.

    ``unreachable``: the target itself failed, not the case.
    """

    scenario: Scenario
    folder: Path
    state: State
    error: str = ""
    unreachable: bool = False


def case_folder(out: Path, agent: str, scenario: Scenario, seed: int) -> Path:
    """Where the record of that conversation belongs. ``agent`` names it with its version."""
    text = json.dumps([VERSION, agent, scenario.model_dump(mode="json"), seed], sort_keys=True)
    return out / "records" / f"{scenario.id}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def is_held(folder: Path) -> bool:
    """Whether ``folder`` holds a whole record of this version."""
    try:
        meta = json.loads((folder / "record.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(meta.get("version") == VERSION and (folder / "audio.wav").is_file())


def run_cases(
    scenarios: Sequence[Scenario],
    seed: int,
    agent: str,
    make_runner: Callable[[], Runner],
    out: Path,
    jobs: int = 1,
) -> Iterator[Outcome]:
    """Hold every conversation that is not there yet; yields each outcome as it comes.

    ``make_runner`` is called once in every process (with ``jobs`` > 1 it must be picklable). A case
    that cannot be held is a failed outcome and the run goes on. Raises ResultError when results
    cannot be stored, TargetError when the target failed three times in a row, EvalError when a
    process died; what was finished before is on disk.
    """
    missing = []
    for scenario in scenarios:
        folder = case_folder(out, agent, scenario, seed)
        if is_held(folder):
            yield Outcome(scenario, folder, "cached")
        else:
            missing.append((scenario, folder))
    if not missing:
        return
    held = _one_by_one if jobs <= 1 else _in_processes
    failures = 0
    for outcome in held(missing, seed, make_runner, jobs):
        yield outcome
        failures = failures + 1 if outcome.unreachable else 0
        if failures == GIVE_UP_AFTER:
            raise TargetError(outcome.error)


_Case = tuple[Scenario, Path]


def _hold(runner: Runner, case: _Case, seed: int) -> Outcome:
    scenario, folder = case
    try:
        record = runner(scenario, seed)
    except TargetError as error:
        return Outcome(scenario, folder, "failed", str(error), unreachable=True)
    except DuplexError as error:
        return Outcome(scenario, folder, "failed", str(error))
    try:
        save_record(record, folder)
    except ResultError as error:
        # libsndfile calls a full disk a "System error"
        if shutil.disk_usage(folder.parent).free < FULL_BELOW_BYTES:
            raise ResultError(
                f"the disk of {folder.parent} is full; finished conversations are kept, free some"
                " space and run the same command to go on"
            ) from error
        raise
    return Outcome(scenario, folder, "held")


def _one_by_one(
    cases: list[_Case], seed: int, make_runner: Callable[[], Runner], jobs: int
) -> Iterator[Outcome]:
    runner = make_runner()
    for case in cases:
        yield _hold(runner, case, seed)


_runner: Runner | None = None  # of this worker process


def _open(make_runner: Callable[[], Runner]) -> None:
    global _runner
    _runner = make_runner()


def _hold_here(case: _Case, seed: int) -> Outcome:
    assert _runner is not None
    return _hold(_runner, case, seed)


def _in_processes(
    cases: list[_Case], seed: int, make_runner: Callable[[], Runner], jobs: int
) -> Iterator[Outcome]:
    pool = ProcessPoolExecutor(
        min(jobs, len(cases)), get_context("spawn"), initializer=_open, initargs=(make_runner,)
    )
    try:
        running: set[Future[Outcome]] = {pool.submit(_hold_here, case, seed) for case in cases}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise EvalError(
            "a process of the run died (out of memory?); finished conversations are kept, run the"
            " same command to go on"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
