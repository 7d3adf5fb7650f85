"""Runs that stop, fail and go on: nothing finished is lost, nothing is held twice."""

from pathlib import Path

import numpy as np
import pytest
from duplex_evals.conversation.record import Record, load_record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import ClipError, ResultError, TargetError
from duplex_evals.runners import batch
from duplex_evals.runners.batch import Outcome, case_folder, run_cases
from duplex_evals.runners.offline import run_offline
from duplex_evals.runners.scripted_agent import ScriptedAgent


def scenarios(count: int) -> list[Scenario]:
    return [Scenario(id=f"case-{n}", family="silence", tail_s=0.4) for n in range(count)]


class Counting:
    """The scripted agent's conversations, counted; some cases fail as they are told to."""

    def __init__(self, failing: dict[str, Exception] | None = None) -> None:
        self.held: list[str] = []
        self.failing = failing or {}
        self.agent = ScriptedAgent()

    def __call__(self, scenario: Scenario, seed: int) -> Record:
        self.held.append(scenario.id)
        if scenario.id in self.failing:
            raise self.failing[scenario.id]
        return run_offline(self.agent, scenario, seed)


def held(runner: Counting, cases: list[Scenario], out: Path, seed: int = 0) -> list[Outcome]:
    return list(run_cases(cases, seed, "scripted", lambda: runner, out))


def scripted_runner() -> batch.Runner:
    return Counting()


def test_a_second_run_holds_only_what_is_missing(tmp_path):
    cases = scenarios(4)
    held(Counting(), cases[:2], tmp_path)
    again = Counting()
    outcomes = held(again, cases, tmp_path)
    assert again.held == ["case-2", "case-3"]
    assert [o.state for o in outcomes] == ["cached", "cached", "held", "held"]


@pytest.mark.parametrize("changed", ["agent", "scenario", "seed"])
def test_a_result_is_used_only_for_the_same_agent_scenario_and_seed(tmp_path, changed):
    [case] = scenarios(1)
    other = case.model_copy(update={"tail_s": 0.8})
    same = case_folder(tmp_path, "a", case, 0)
    assert same == case_folder(tmp_path, "a", case.model_copy(), 0)
    assert (
        same
        != {
            "agent": case_folder(tmp_path, "b", case, 0),
            "scenario": case_folder(tmp_path, "a", other, 0),
            "seed": case_folder(tmp_path, "a", case, 1),
        }[changed]
    )


def test_a_record_cut_off_while_it_was_written_is_held_again(tmp_path):
    [case] = scenarios(1)
    [outcome] = held(Counting(), [case], tmp_path)
    meta = outcome.folder / "record.json"
    meta.write_text(meta.read_text("utf-8")[:40], "utf-8")
    assert held(Counting(), [case], tmp_path)[0].state == "held"
    load_record(outcome.folder)


def test_a_missing_clip_fails_its_case_and_the_run_goes_on(tmp_path):
    runner = Counting({"case-1": ClipError("install the clips")})
    outcomes = held(runner, scenarios(3), tmp_path)
    assert [o.state for o in outcomes] == ["held", "failed", "held"]
    assert outcomes[1].error == "install the clips"


def test_a_dead_server_ends_the_run_after_three_and_keeps_what_was_finished(tmp_path):
    dead = {f"case-{n}": TargetError("nobody answers") for n in range(2, 9)}
    runner = Counting(dead)
    with pytest.raises(TargetError, match="nobody answers"):
        held(runner, scenarios(9), tmp_path)
    assert runner.held == [f"case-{n}" for n in range(5)]
    recovered = Counting()
    assert all(o.state != "failed" for o in held(recovered, scenarios(9), tmp_path))
    assert len(recovered.held) == 7


def test_one_lost_conversation_does_not_end_the_run(tmp_path):
    runner = Counting({"case-0": TargetError("lost"), "case-2": TargetError("lost")})
    outcomes = held(runner, scenarios(4), tmp_path)
    assert [o.unreachable for o in outcomes] == [True, False, True, False]


def test_a_full_disk_ends_the_run_and_keeps_what_was_finished(tmp_path):
    # a file where the third record's folder belongs refuses it as a full disk does
    cases = scenarios(4)
    blocked = case_folder(tmp_path, "scripted", cases[2], 0)
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    runner = Counting()
    with pytest.raises(ResultError, match="cannot store"):
        held(runner, cases, tmp_path)
    assert runner.held == ["case-0", "case-1", "case-2"]
    for case in cases[:2]:
        load_record(case_folder(tmp_path, "scripted", case, 0))


@pytest.mark.slow
def test_processes_give_the_same_records_as_one(tmp_path):
    cases = scenarios(3)
    alone = held(Counting(), cases, tmp_path / "one")
    many = list(run_cases(cases, 0, "scripted", scripted_runner, tmp_path / "two", jobs=2))
    many.sort(key=lambda o: o.scenario.id)
    for a, b in zip(alone, many, strict=True):
        assert np.array_equal(load_record(a.folder).agent, load_record(b.folder).agent)
