"""The report: what is written is read back, the page stands alone, uncertainty is not hidden."""

import json
import re
from pathlib import Path

import pytest
from duplex_evals.conversation.record import save_record
from duplex_evals.conversation.scenario import Anchor, Clip, Item, Part, Scenario
from duplex_evals.errors import ResultError
from duplex_evals.metrics.result import Result, Summary
from duplex_evals.report import labels
from duplex_evals.report.build import build
from duplex_evals.report.document import Case, Report, read_report
from duplex_evals.report.metadata import run_metadata
from duplex_evals.report.table import chapters
from duplex_evals.report.write import write_comparison, write_report
from duplex_evals.runners.batch import Outcome
from duplex_evals.runners.offline import run_offline
from duplex_evals.runners.scripted_agent import ScriptedAgent

from duplex_agent.spec import AgentSpec

HOSTILE = "<script>alert('&')</script>"


def scenario(name: str, text: str) -> Scenario:
    clip = Clip(file="noise:white", text=text, end_s=1.0)
    item = Item(
        name="turn",
        kind="turn",
        expect="reply",
        parts=[Part(clip=clip)],
        anchor=Anchor(delay_ms=400),
    )
    return Scenario(id=name, family="smooth_turn", items=[item], tail_s=2.0)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A finished run: one conversation held, one not."""
    out = tmp_path_factory.mktemp("run")
    kept, lost = scenario("kept", HOSTILE), scenario("lost", "never held")
    folder = out / "records" / "kept"
    save_record(run_offline(ScriptedAgent(), kept, seed=0), folder)
    outcomes = [Outcome(kept, folder, "held"), Outcome(lost, out / "x", "failed", "no such clip")]
    meta = run_metadata("custom", "scripted", seed=0, limit=None, jobs=1)
    write_report(build(outcomes, meta, out, frozenset()), out)
    return out


@pytest.mark.assets
def test_a_report_is_read_back_as_it_was_written(run_folder, tmp_path):
    report = read_report(run_folder)
    write_report(report, tmp_path)
    assert read_report(tmp_path) == report
    assert [case.id for case in report.cases] == ["kept", "lost"]
    assert report.cases[0].timeline is not None
    assert report.cases[0].timeline.placed[0].start_ms == pytest.approx(400, abs=1)
    assert report.failures == {"no such clip": ["lost"]}


@pytest.mark.assets
def test_a_report_states_what_it_was_made_with(run_folder):
    meta = read_report(run_folder).meta
    for key in ("commit", "weights_sha256", "asr", "normaliser", "machine", "seed"):
        assert meta[key] not in (None, "", {}), key
    assert meta["segments"]["detector"]
    assert meta["spec"] is None  # another agent has none
    own = run_metadata("custom", "local", seed=0, limit=None, jobs=1)
    assert AgentSpec.model_validate(own["spec"]) == AgentSpec()


@pytest.mark.assets
def test_results_hold_one_line_for_every_conversation(run_folder):
    lines = (run_folder / "results.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == ["kept", "lost"]
    assert rows[0]["metrics"]["voice_to_voice_answered"] == pytest.approx(500, abs=1)
    assert rows[1]["error"] == "no such clip"


@pytest.mark.assets
def test_the_page_needs_nothing_outside_it_and_runs_no_words(run_folder):
    page = (run_folder / "report.html").read_text("utf-8")
    outside = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert outside == ["records/kept/audio.wav"]
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.assets
def test_a_comparison_finds_the_sound_of_each_run(run_folder, tmp_path):
    report = read_report(run_folder)
    write_comparison([report, report], [run_folder, run_folder], tmp_path)
    page = (tmp_path / "compare.html").read_text("utf-8")
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 2
    assert all((tmp_path / source).is_file() for source in sources)


@pytest.mark.assets
def test_a_report_of_the_first_version_is_read(run_folder, tmp_path):
    document = json.loads((run_folder / "report.json").read_text("utf-8"))
    document["schema"] = "duplex-evals report 1"
    document["summary"]["figures"] = document["summary"].pop("results")
    (tmp_path / "report.json").write_text(json.dumps(document))
    assert read_report(tmp_path) == read_report(run_folder)


@pytest.mark.parametrize("content", ["{", '{"schema": "other"}', '{"schema": 1, "meta": {}}', "[]"])
def test_a_foreign_report_is_refused(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ResultError, match=r"report\.json"):
        read_report(tmp_path)


def result(value: float | None, low: float | None, high: float | None) -> Result:
    return Result("yield_rate_2s", "d", value=value, low=low, high=high, n=20, unit="share")


def marks(*results: Result) -> list[bool]:
    reports = [Report({"agent": str(i)}, Summary([f])) for i, f in enumerate(results)]
    [chapter] = chapters(reports)
    return [cell.best for cell in chapter.rows[0].cells]


def test_a_run_is_called_better_only_where_the_intervals_do_not_meet():
    assert marks(result(0.9, 0.8, 1.0), result(0.5, 0.4, 0.6)) == [True, False]
    assert marks(result(0.9, 0.8, 1.0), result(0.7, 0.6, 0.8)) == [False, False]
    assert marks(result(0.9, 0.8, 1.0), result(None, None, None)) == [False, False]


def test_where_lower_is_better_the_lower_run_is_marked():
    low = Result("voice_to_voice_answered_p50", "d", value=500, low=480, high=520, unit="ms")
    high = Result("voice_to_voice_answered_p50", "d", value=900, low=850, high=950, unit="ms")
    assert labels.better(low, [high])
    assert not labels.better(high, [low])


def test_not_available_is_never_written_as_a_number():
    missing = Result("backchannel_recall", "d", unit="share", note="not claimed")
    assert labels.cell(missing) == "N/A"
    assert labels.interval(missing) == "not claimed"
    assert labels.cell(Result("x", "d", value=0.0, unit="share")) == "0 %"


def test_infinity_becomes_null_in_json(tmp_path):
    meta = run_metadata("custom", "scripted", seed=0, limit=None, jobs=1)
    case = Case("a", "smooth_turn", metrics={"latency": float("inf")})
    write_report(Report(meta, Summary([result(float("nan"), None, None)]), [case]), tmp_path)
    text = (tmp_path / "report.json").read_text("utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    assert read_report(tmp_path).summary.results[0].value is None
