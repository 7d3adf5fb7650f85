"""The benchmark: its small form runs from end to end, and its arithmetic and layout are right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from duplex_kernels.bench.__main__ import UNFINISHED, main
from duplex_kernels.bench.case import Case, Setting
from duplex_kernels.bench.measure import run_case
from duplex_kernels.bench.report import Report
from duplex_kernels.bench.roofline import Roofline
from duplex_kernels.bench.table import Row, render
from duplex_kernels.bench.timing import Time

_SMALL = Setting(torch.device("cpu"), small=True)


def _bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "duplex_kernels.bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _case(error: float, peer: object = None) -> Case:
    def work(_: int) -> object:
        if isinstance(peer, Exception):
            raise peer
        return None

    return Case(
        table="t",
        shape="s",
        ours=lambda i: i,
        sets=2,
        moved=0,
        operations=0,
        check=lambda: error,
        tolerance=1e-3,
        peers={"peer": work},
    )


def test_the_small_form_runs_every_benchmark_and_says_that_it_measures_nothing(
    tmp_path: Path,
) -> None:
    done = _bench("--cpu", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    saved = json.loads((tmp_path / "results.json").read_text())
    assert "no figures of performance" in saved["machine"]
    assert saved["roofline"]["bytes_per_second"] is None
    tables = {row["table"] for row in saved["rows"]}
    assert tables >= {"paged_attention", "rope_append", "flow_head_step", "rms_norm", "sampling"}
    for row in saved["rows"]:
        assert row["max_error"] <= row["tolerance"]
        assert row["share"] is None
        assert (tmp_path / f"{row['table']}.png").stat().st_size > 1000
    assert done.stdout.splitlines()[-1] == f"ok {len(saved['rows'])} cases"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_without_a_gpu_it_refuses_to_give_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "--cpu" in capsys.readouterr().err


def test_a_wrong_result_is_a_failure_and_has_no_times() -> None:
    for error in (2e-3, float("nan")):
        row = run_case(_case(error), _SMALL, Roofline())
        assert row.error is not None
        assert row.ours is None
        assert "FAILED" in render([row])


def test_a_peer_that_fails_is_named_and_the_rest_is_timed() -> None:
    row = run_case(_case(0.0, RuntimeError("no kernel image")), _SMALL, Roofline())
    assert row.error is None
    assert row.ours is not None
    assert row.missing == {"peer, s": "RuntimeError: no kernel image"}
    assert "no kernel image" in render([row])


def test_the_floor_is_the_longer_of_moving_and_computing() -> None:
    roofline = Roofline(bytes_per_second=1e12, operations_per_second=1e14)
    assert roofline.floor(10**6, 10**6) == pytest.approx(1.0)
    assert roofline.floor(10**3, 10**9) == pytest.approx(10.0)
    assert Roofline().floor(10**6, 0) is None


def test_a_row_shows_its_share_of_the_floor_and_the_best_peer() -> None:
    row = Row(
        table="t",
        shape="batch 1",
        max_error=1e-6,
        tolerance=1e-5,
        ours=Time(4.0, 3.9, 4.1),
        floor=3.0,
        peers={"slow": Time(20.0, 20.0, 20.0), "quick": Time(6.0, 6.0, 6.0)},
    )
    assert row.share == pytest.approx(0.75)
    assert row.against_best == pytest.approx(1.5)
    last = render([row]).splitlines()[-1]
    for cell in ("batch 1", "4.00 (3.90-4.10)", "75%", "20.00 (5.00x)", "6.00 (1.50x)", "1.50"):
        assert f" {cell} " in last


def test_a_report_goes_on_where_it_was_and_runs_failures_again(tmp_path: Path) -> None:
    first = Report.begin(_SMALL, tmp_path)
    good = run_case(_case(0.0), _SMALL, Roofline())
    first.add(good)
    first.add(Row("t", "other", error="RuntimeError: no"))
    second = Report.begin(_SMALL, tmp_path)
    assert second.rows == first.rows
    assert second.has("t", "s")
    assert not second.has("t", "other")
    second.add(Row("t", "other", max_error=0.0))
    assert [row.error for row in second.rows] == [None, None]


def test_a_report_of_another_machine_is_begun_anew(tmp_path: Path) -> None:
    Report.begin(_SMALL, tmp_path).add(Row("t", "s"))
    file = tmp_path / "results.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "machine": "another"}))
    assert Report.begin(_SMALL, tmp_path).rows == []


def test_without_time_left_nothing_is_begun(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert main(["--cpu", "--only", "launch_savers", "--seconds", "0"]) == UNFINISHED
    assert "call again" in capsys.readouterr().out
