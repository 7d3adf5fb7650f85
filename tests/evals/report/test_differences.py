import numpy as np
import pytest
from duplex_evals.conversation.record import Record, save_record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import ResultError
from duplex_evals.report.differences import differences


def record(agent, events, id="a"):
    scenario = Scenario(id=id, family="custom")
    user = np.zeros(160, np.float32)
    return Record(scenario, "x", 0, user, np.asarray(agent, np.float32), [], events)


def run(folder, *records, mark="0"):
    for one in records:
        save_record(one, folder / "records" / f"{one.scenario.id}-{mark}")
    return folder


def test_what_differs_between_two_runs_is_found(tmp_path):
    audio, said = np.linspace(-0.5, 0.5, 240), [{"type": "x"}, {"type": "y"}]
    other = audio.copy()
    other[120:] += 3 / 32_768
    before = run(
        tmp_path / "before",
        *(record(audio, said, id) for id in ("same", "sound", "event", "shorter", "alone")),
    )
    after = run(
        tmp_path / "after",
        record(audio, said, "same"),
        record(other, said, "sound"),
        record(audio, [said[0], {"type": "z"}], "event"),
        record(audio, said[:1], "shorter"),
        mark="1",
    )
    found = {d.scenario: d for d in differences(before, after)}
    assert found["same"].equal
    assert (found["sound"].first_event, found["sound"].audio) == (None, 3)
    assert found["sound"].first_s == pytest.approx(120 / 24_000)
    assert (found["event"].first_event, found["event"].audio) == (1, 0)
    assert found["shorter"].first_event == 1
    assert "alone" not in found


def test_runs_without_a_common_conversation_are_refused(tmp_path):
    with pytest.raises(ResultError, match="no conversation in common"):
        differences(run(tmp_path / "a", record([], [], "a")), run(tmp_path / "b"))
