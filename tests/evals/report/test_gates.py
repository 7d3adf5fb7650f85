"""Gates in YAML: what passes, what fails, what is refused."""

import pytest
from duplex_evals.metrics.result import Result, Summary
from duplex_evals.report.gates import GateError, judge, read_gates

SUMMARY = Summary(
    [
        Result("yield_rate_2s", "", value=0.9, n=20, unit="share"),
        Result("yield_rate_2s", "", voice="human", value=0.5, n=10, unit="share"),
        Result("backchannel_recall", "", note="the agent does not claim: backchannel"),
    ]
)


def verdicts(tmp_path, text: str) -> list[bool]:
    file = tmp_path / "gates.yaml"
    file.write_text(text)
    return [v.passed for v in judge(read_gates(file), SUMMARY)]


def test_bounds_are_inclusive_and_each_part_has_its_own(tmp_path):
    text = """
    - {result: yield_rate_2s, min: 0.9, max: 0.9}
    - {result: yield_rate_2s, min: 0.91}
    - {result: yield_rate_2s, voice: human, max: 0.4}
    """
    assert verdicts(tmp_path, text) == [True, False, False]


def test_gates_that_were_written_for_figures_still_hold(tmp_path):
    assert verdicts(tmp_path, "- {figure: yield_rate_2s, min: 0.91}") == [False]


def test_what_is_not_available_fails_unless_it_is_optional(tmp_path):
    text = """
    - {result: backchannel_recall, min: 0.1}
    - {result: backchannel_recall, min: 0.1, optional: true}
    """
    assert verdicts(tmp_path, text) == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {result: yield_rate_2s}", "gate 0.*min or max"),
        ("- {result: yield_rate_2s, mim: 1}", "gate 0"),
        ("result: yield_rate_2s", "is a list"),
        ("- [", "gates.yaml"),
        ("- {result: jield_rate, min: 1}", "no result jield_rate"),
    ],
)
def test_a_wrong_gate_is_named(tmp_path, text, message):
    with pytest.raises(GateError, match=message):
        verdicts(tmp_path, text)
