"""The example of the README runs as it stands there."""

import re

import numpy as np
import pytest
from imports import ROOT

from duplex_agent.audio.files import read_audio
from duplex_agent.offline.say import say_text


@pytest.mark.assets
@pytest.mark.slow
def test_the_python_example_asks_a_question_and_stores_the_answer(tmp_path, monkeypatch, capsys):
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    question_s = say_text("What is the capital of France?", tmp_path / "question.wav")
    capsys.readouterr()
    exec(compile(example, "README.md", "exec"), {})
    assert "Paris" in capsys.readouterr().out
    sound = read_audio("reply.wav", rate_hz=24_000)
    ticks = (round(question_s * 1000) + 8_000) // 80
    assert len(sound) == ticks * 1920
    assert np.abs(sound[: round(question_s * 24_000)]).max() == 0  # it lets the question end
