"""`talk --llm` with the shipped ear and voice and a real endpoint, as a person would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chat_server import ChatServer, saying

from duplex_agent.audio.files import write_wav
from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.train.data.user_speech import HELD_OUT, speak

pytestmark = [pytest.mark.assets, pytest.mark.slow, pytest.mark.timeout(600)]

ANSWER = ["It ", "is ", "Rome, ", "你好 ", "as ", "you ", "know", "."]


def test_a_spoken_question_is_answered_by_the_endpoint(server: ChatServer, tmp_path: Path) -> None:
    speaker = next(speaker for speaker in HELD_OUT if speaker.engine == "espeak")
    question = np.pad(speak(speaker, "What is the capital of Italy?"), (USER_RATE_HZ // 2, 0))
    write_wav(tmp_path / "in.wav", question, USER_RATE_HZ)
    server.answer = saying(*ANSWER)
    files = ["in.wav", "--out", "out.wav", "--json", "out.json"]
    command = [sys.executable, "-m", "duplex_agent", "talk", *files]
    environment = {**os.environ, "OPENAI_API_KEY": "secret-key"}
    subprocess.run(
        [*command, "--llm", server.url, "--llm-model", "small"],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    report = json.loads((tmp_path / "out.json").read_text())
    [turn] = report["turns"]
    assert turn["user"]
    assert server.messages()[-1] == ("user", turn["user"])
    assert server.requests[0]["headers"]["Authorization"] == "Bearer secret-key"
    assert (turn["status"], turn["heard"]) == ("completed", "".join(ANSWER))
    [left_out] = [e["words"] for e in report["events"] if e["type"] == "reply.left_out"]
    assert left_out == ["你好"]
