"""The suite from end to end with an agent that only hums, and its table without any agent."""

from pathlib import Path

import pytest
from duplex_evals.metrics.result import Result
from duplex_evals.runners.scripted_agent import ScriptedAgent
from duplex_evals.wavchat.results import table_results
from duplex_evals.wavchat.suite import run, scenarios
from duplex_evals.wavchat.table import ROWS


def places(found: list[Result]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((f.family, f.subtype) for f in found))


def test_every_row_has_a_result_or_a_reason_even_without_records(tmp_path: Path) -> None:
    found = table_results([], frozenset(), tmp_path)
    assert places(found) == [(row.ability, row.task) for row in ROWS]
    assert all(f.value is not None or f.note for f in found)
    assert all(f.value is None for f in found)
    unclaimed = next(f for f in found if f.subtype == "music synthesis")
    assert unclaimed.note == "the agent does not claim: music_generation"


def test_a_claim_without_a_test_says_so(tmp_path: Path) -> None:
    found = table_results([], frozenset({"vision"}), tmp_path)
    row = next(f for f in found if f.family == "multimodal")
    assert "no test" in row.note


@pytest.mark.assets
def test_a_limit_takes_the_first_of_each_part() -> None:
    chosen = scenarios(4)
    assert len({s.id for s in chosen}) == len(chosen)
    assert {s.id for s in scenarios(1)} < {s.id for s in chosen}
    assert sum("~snr0" in s.id for s in chosen) == 2 + 1 + 1 + 1


@pytest.mark.slow
@pytest.mark.assets
def test_the_suite_is_held_once_and_fills_the_table(tmp_path: Path) -> None:
    first = run(ScriptedAgent, tmp_path, limit=1)
    assert places(first) == [(row.ability, row.task) for row in ROWS]
    by_name = {f.name: f for f in first}
    assert by_name["voice_to_voice_answered_p50"].value == pytest.approx(500, abs=1)
    assert by_name["instructions_spoken"].note == "the agent does not claim: instructions"
    assert by_name["judged_relevance"].note.startswith("no judge")
    held = {p: p.stat().st_mtime_ns for p in tmp_path.glob("records/*/record.json")}
    assert run(ScriptedAgent, tmp_path, limit=1) == first
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("records/*/record.json")} == held
