"""What docs/evals.md shows is what the code takes."""

import re
from pathlib import Path

import pytest
from duplex_evals.cli import PARTS
from duplex_evals.conversation.scenario import read_scenarios
from duplex_evals.metrics.summary import summarise
from duplex_evals.report.gates import judge, read_gates

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "evals.md"


@pytest.fixture
def examples(tmp_path) -> list[Path]:
    files = []
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.S)):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        files.append(file)
    return files


def test_the_gates_of_the_documentation_name_results_that_exist(examples):
    summary = summarise([])
    results = {result.name for result in summary.results}
    gates = read_gates(examples[0])
    assert {gate.result for gate in gates} <= results
    assert len(judge([g for g in gates if not g.family], summary)) == 2


def test_the_scenario_of_the_documentation_fits_the_schema(examples):
    [scenario] = read_scenarios(examples[1])
    assert [item.expect for item in scenario.items] == ["reply", "stop"]


def test_every_single_part_is_in_the_table():
    assert set(re.findall(r"^\| `duplex-evals ([\w-]+)`", DOCUMENT.read_text(), re.M)) == set(PARTS)
