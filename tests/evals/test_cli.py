"""The command line: what it writes and the exit codes that continuous integration sees."""

import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from duplex_evals import cli

SCENARIO = {
    "id": "short",
    "family": "custom",
    "tail_s": 1.5,
    "items": [
        {
            "name": "turn",
            "kind": "turn",
            "expect": "reply",
            "parts": [{"clip": {"file": "noise:white", "end_s": 0.5}}],
        }
    ],
}


@pytest.fixture
def duplex_evals(monkeypatch, capsys):
    """Calls the command line; gives its exit code and what it said."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["duplex-evals", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return call


@pytest.fixture
def suite(tmp_path) -> Path:
    file = tmp_path / "suite.yaml"
    file.write_text(yaml.safe_dump([SCENARIO]))
    return file


@pytest.mark.assets
def test_a_run_writes_its_report_and_passes(duplex_evals, suite, tmp_path):
    code, said = duplex_evals("run", suite, "--agent", "scripted", "--out", tmp_path / "o")
    assert code == 0, said
    written = {file.name for file in (tmp_path / "o" / "suite-scripted").iterdir()}
    assert {"report.json", "report.md", "report.html", "results.jsonl", "records"} <= written


@pytest.mark.assets
def test_a_gate_that_fails_gives_1(duplex_evals, suite, tmp_path):
    gates = tmp_path / "gates.yaml"
    gates.write_text("- {result: voice_to_voice_answered_p50, max: 100}\n")
    code, said = duplex_evals(
        "run", suite, "--agent", "scripted", "--out", tmp_path / "o", "--gates", gates
    )
    assert code == 1
    assert "FAIL  voice_to_voice_answered_p50" in said


@pytest.mark.assets
def test_a_missing_clip_gives_1_and_names_it(duplex_evals, suite, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    broken = {**SCENARIO, "id": "broken", "items": [dict(SCENARIO["items"][0])]}
    broken["items"][0]["parts"] = [{"clip": {"file": str(tmp_path / "none.wav")}}]
    suite.write_text(yaml.safe_dump([SCENARIO, broken]))
    code, said = duplex_evals("run", suite, "--agent", "scripted", "--out", tmp_path / "o")
    assert code == 1
    assert "none.wav" in said
    assert (tmp_path / "o" / "suite-scripted" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no suite 'nothing'"),
        (["suite.yaml"], "suite.yaml"),
        (["duplex", "--gates", "none.yaml"], "none.yaml"),
        (["duplex", "--agent", "somebody"], "somebody"),
        (["duplex", "--limit", "0"], "limit"),
    ],
)
def test_wrong_usage_gives_2_and_one_line(duplex_evals, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text("- {id: x, family: unknown}\n")
    code, output = duplex_evals("run", "--agent", "scripted", *arguments)
    assert code == 2
    assert said in output
    assert "Traceback" not in output


def test_a_dead_server_gives_3(duplex_evals, suite, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    many = [{**SCENARIO, "id": f"short-{n}"} for n in range(3)]
    suite.write_text(yaml.safe_dump(many))
    url = f"http://127.0.0.1:{port}"
    code, said = duplex_evals("run", suite, "--agent", url, "--out", tmp_path / "o")
    assert code == 3, said
    assert str(port) in said


def test_what_is_no_run_cannot_be_compared(duplex_evals, tmp_path):
    code, said = duplex_evals("compare", tmp_path)
    assert code == 2
    assert "no report.json" in said


@pytest.mark.system
def test_the_list_names_every_suite(duplex_evals):
    code, said = duplex_evals("list")
    assert code == 0
    for name in ("duplex", "user_interruption", "wavchat"):
        assert name in said


@pytest.mark.parametrize("name", cli.PARTS)
def test_every_single_part_has_a_command(name):
    module, _ = cli.PARTS[name]
    assert callable(import_module(f"duplex_evals.{module}").main)


def test_a_single_part_takes_its_own_options(duplex_evals):
    code, said = duplex_evals("long-call", "--help")
    assert code == 0
    assert "--minutes" in said
    code, said = duplex_evals("long-call", "--minutes", "1")
    assert code == 2
    assert "--minutes" in said


def test_what_a_part_refuses_is_one_line(duplex_evals):
    code, said = duplex_evals("understanding", "smell")
    assert (code, said) == (
        2,
        "duplex-evals: no part smell; parts: questions, remarks, ear, quiet, text\n",
    )


def test_the_command_starts_without_the_heavy_libraries():
    heavy = "{'torch', 'transformers', 'onnxruntime', 'numpy', 'aiortc', 'matplotlib'}"
    code = f"import sys, duplex_evals.cli; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
