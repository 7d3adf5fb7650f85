"""Several callers at once against the real gateway, and what the table says about them."""

from dataclasses import replace

import pytest
import soundfile
from duplex_evals.conversation.scenario import Anchor, Clip, Item, Part, Scenario
from duplex_evals.errors import TargetError
from duplex_evals.network.calibration import Calibration
from duplex_evals.performance.load import parse_callers, run_load
from duplex_evals.performance.load_report import Limit, LoadReport, LoadRow, table, write_report

# This machine may be slow; what a caller gets is the question, not how soon.
GENEROUS = Limit(p95_ms=10_000, late_share=1.0, missed_share=1.0)


def row(callers, **changed):
    good = LoadRow(
        callers=callers,
        completed=callers,
        refused=0,
        failed=0,
        turns=10,
        missed_share=0.0,
        p50_ms=600.0,
        p90_ms=800.0,
        p95_ms=900.0,
        late_share=0.0,
        gaps_per_min=0.0,
        sent_late_share=0.0,
        cores=None,
        memory_mib=None,
        session_cores=None,
        session_mib=None,
    )
    return replace(good, **changed)


@pytest.mark.slow
@pytest.mark.realtime
def test_the_largest_number_of_callers_is_what_the_server_has_slots_for(
    gateway, user_audio, tmp_path
):
    soundfile.write(tmp_path / "hum.wav", user_audio(0, 1.0), 16_000)
    clip = Part(clip=Clip(file=str(tmp_path / "hum.wav")))
    item = Item(
        name="turn", kind="turn", expect="reply", parts=[clip], anchor=Anchor(delay_ms=1_500)
    )
    scenario = Scenario(id="turn", family="custom", items=[item], tail_s=3.0)
    with gateway(slots=2) as url:
        report = run_load(url, [1, 2, 3], GENEROUS, scenarios=[scenario])
    assert [(r.completed, r.refused, r.failed) for r in report.rows] == [
        (1, 0, 0),
        (2, 0, 0),
        (2, 1, 0),
    ]
    assert report.largest == 2
    assert [r.turns for r in report.rows] == [1, 2, 2]
    assert all(r.p50_ms > 400 for r in report.rows)
    assert all(r.session_cores > 0 and r.memory_mib > 50 for r in report.rows)
    assert len(table(report).columns) == 1 + 3
    write_report(report, tmp_path / "load.json")
    assert '"largest": 2' in (tmp_path / "load.json").read_text()


def test_a_dead_server_is_a_target_error(dead_port):
    with pytest.raises(TargetError, match="nothing answers"):
        run_load(
            f"http://127.0.0.1:{dead_port}", [1], scenarios=[Scenario(id="x", family="custom")]
        )


def test_an_agent_in_this_process_cannot_be_loaded():
    with pytest.raises(TargetError, match="URL"):
        run_load("local", [1])


def test_the_largest_number_is_the_last_before_the_first_miss():
    def largest(*rows):
        return LoadReport("x", Calibration(0, 0, 0), Limit(p95_ms=1_000), list(rows)).largest

    assert largest(row(1), row(2), row(3, p95_ms=1_001.0), row(4)) == 2
    assert largest(row(1, p95_ms=None)) == 0
    assert largest(row(1), row(2, completed=1, refused=1)) == 1
    assert largest(row(1), row(2, late_share=0.02)) == 1
    assert largest(row(1), row(2, missed_share=0.5)) == 1


def test_callers_are_a_range_or_a_list():
    assert parse_callers("1..3") == [1, 2, 3]
    assert parse_callers("1,4") == [1, 4]
    for wrong in ("0..2", "many", "3..1"):
        with pytest.raises(ValueError):
            parse_callers(wrong)
