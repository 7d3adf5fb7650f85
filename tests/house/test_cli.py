"""The command line's manners: quick to start, one line for an expected error, honest exit codes."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from duplex_agent import doctor
from duplex_agent.cli import app, main

runner = CliRunner()


def test_the_command_starts_without_the_heavy_libraries():
    heavy = "{'torch', 'transformers', 'onnxruntime', 'numpy', 'aiortc', 'fastapi'}"
    code = f"import sys, duplex_agent.cli; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_expected_error_is_one_line_on_stderr_and_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["duplex-agent", "train", "no-such-recipe"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("duplex-agent: no recipe called 'no-such-recipe'")


@pytest.mark.parametrize("command", ["listen", "talk"])
@pytest.mark.parametrize("name", [b"no[b]thing.wav", b"a\nb\x1b[31m\xe9.wav"])
def test_a_missing_input_file_is_one_line_that_names_it(tmp_path, command, name):
    call = [sys.executable, "-m", "duplex_agent", command, os.fsencode(tmp_path) + b"/" + name]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    shown = {b"n": "no[b]thing.wav", b"a": r"a\nb\x1b[31m\udce9.wav"}[name[:1]]
    assert (
        done.stderr == f"duplex-agent: cannot read {tmp_path}/{shown}: no such file or directory\n"
    )
    assert (done.returncode, done.stdout) == (1, "")


@pytest.fixture
def empty_house(tmp_path, monkeypatch):
    """No pretrained part, no trained weights, no network."""
    monkeypatch.setenv("DUPLEX_ASSETS_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(doctor, "WEIGHTS_DIR", tmp_path / "weights")
    return tmp_path


def test_doctor_fails_and_says_what_is_missing(empty_house):
    result = runner.invoke(app, ["doctor", "--no-fetch"])
    assert result.exit_code == 1
    assert "not fetched" in result.stdout
    assert "duplex-agent train ear" in result.stdout


def test_doctor_tells_a_damaged_part_from_a_missing_one(empty_house):
    (empty_house / "cache").mkdir()
    (empty_house / "cache" / "silero_vad_16k_op15.onnx").write_bytes(b"half of it")
    result = runner.invoke(app, ["doctor", "--no-fetch"])
    assert result.exit_code == 1
    assert "silero-vad: wrong hash" in result.stdout


def test_doctor_names_a_weight_file_that_is_none(empty_house):
    (empty_house / "weights").mkdir()
    (empty_house / "weights" / "ear.safetensors").write_bytes(b"\xff" * 100)
    result = runner.invoke(app, ["doctor", "--no-fetch"])
    assert "unreadable: not a safetensors file" in result.stdout
