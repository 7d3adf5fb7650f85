"""Recordings as ticks, conversations as stereo files, turns as rows."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from duplex_agent.audio.files import AudioReader, write_wav
from duplex_agent.duplex.events import Event
from duplex_agent.errors import AudioError
from duplex_agent.offline.recording import StereoRecorder, ticks_of
from duplex_agent.offline.say import say_text
from duplex_agent.offline.talk import talk_file
from duplex_agent.offline.turns import TurnLog
from duplex_agent.terminal import Console


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 1_279, 1_280, 16_001, 40_000])
def test_a_recording_comes_tick_by_tick_and_then_silence(tmp_path: Path, samples: int) -> None:
    sound = noise(samples)
    soundfile.write(tmp_path / "in.wav", sound, 16_000, subtype="FLOAT")
    with AudioReader(tmp_path / "in.wav", 16_000) as reader:
        seconds = reader.scan()
        ticks = list(ticks_of(reader, seconds + 1))
    assert len(ticks) == -(-(samples + 16_000) // 1_280)
    heard = np.concatenate(ticks)
    np.testing.assert_array_equal(heard[:samples], sound)
    assert not heard[samples:].any()


def test_the_stereo_file_has_the_user_left_and_the_agent_a_tick_later(tmp_path: Path) -> None:
    user = np.sin(2 * np.pi * 500 * np.arange(20 * 1_280) / 16_000).astype(np.float32) / 2
    agent = noise(20 * 1_920)
    with StereoRecorder(tmp_path / "out.wav", 1.55) as recorder:
        for number in range(20):
            recorder.add(
                user[number * 1_280 : (number + 1) * 1_280],
                agent[number * 1_920 : (number + 1) * 1_920],
            )
    both, rate_hz = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate_hz == 24_000
    assert both.shape == (37_200, 2)
    expected = np.sin(2 * np.pi * 500 * np.arange(37_200) / 24_000) / 2
    np.testing.assert_allclose(both[2_400:-2_400, 0], expected[2_400:-2_400], atol=2e-3)
    assert not both[:1_920, 1].any()
    np.testing.assert_allclose(both[1_920:, 1], agent[: 37_200 - 1_920], atol=1e-4)


def test_a_failed_run_leaves_no_half_file(tmp_path: Path) -> None:
    recorder = StereoRecorder(tmp_path / "out.wav", 10.0)
    recorder.add(noise(1_280), noise(1_920))
    error = AudioError("the recording is damaged")
    recorder.__exit__(AudioError, error, None)
    assert not (tmp_path / "out.wav").exists()


def test_a_bad_recording_touches_no_output(tmp_path: Path) -> None:
    sound = noise(30_000)
    sound[-1] = np.nan
    soundfile.write(tmp_path / "in.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        talk_file(tmp_path / "in.wav", tmp_path / "out.wav", tmp_path / "out.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav"]


@pytest.mark.parametrize(
    ("out", "report", "message"),
    [
        ("absent/out.wav", None, "no such file"),
        (None, "absent/out.json", "no such file"),
        ("/dev/full", None, "no space left"),
    ],
)
def test_an_unwritable_output_is_told_before_the_model_loads(
    tmp_path: Path, out: str | None, report: str | None, message: str
) -> None:
    write_wav(tmp_path / "in.wav", noise(16_000), 16_000)
    with pytest.raises(AudioError, match=message):
        talk_file(
            tmp_path / "in.wav",
            None if out is None else tmp_path / out,
            None if report is None else tmp_path / report,
        )


def test_turns_are_folded_into_rows() -> None:
    log = TurnLog()
    log.add([Event("tick.compute", 800, {"compute_ms": 10.0})])
    floor = {"floor": "replying", "previous": "listening", "reason": "silence"}
    log.add([Event("floor.changed", 900, floor)])
    log.add([Event("user.turn_ended", 900, {"text": "hi", "end_ms": 300, "reason": "silence"})])
    log.add([Event("reply.started", 1_000, {"reply_id": 1, "response_ms": 700})])
    log.add([Event("tick.compute", 1_000, {"compute_ms": 30.0})])
    log.add([Event("reply.text.delta", 1_000, {"reply_id": 1, "text": "Hello there."})])
    done = {"reply_id": 1, "status": "interrupted", "heard_text": "Hello"}
    back = {"floor": "listening", "previous": "replying", "reason": "said everything"}
    log.add([Event("reply.done", 1_500, done), Event("floor.changed", 1_500, back)])
    log.add([Event("tick.compute", 1_500, {"compute_ms": 9.0})])
    assert log.to_json() == [
        {
            "user": "hi",
            "user_end_ms": 300,
            "agent": "Hello there.",
            "heard": "Hello",
            "reply_ms": 1_000,
            "response_ms": 700,
            "status": "interrupted",
        }
    ]
    assert log.compute_ms == [10.0, 30.0, 9.0]
    assert log.speaking_ms == [30.0]


def test_words_of_people_and_models_are_shown_as_they_are_and_never_act(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = TurnLog()
    said = "a [/b] :smile: \x1b[2J"
    log.add([Event("user.turn_ended", 900, {"text": said, "end_ms": 300, "reason": "silence"})])
    log.add([Event("reply.started", 1_000, {"reply_id": 1, "response_ms": 700})])
    log.add([Event("reply.text.delta", 1_000, {"reply_id": 1, "text": "[laughs] Yes."})])
    Console(width=200).print(log.table())
    printed = capsys.readouterr().out
    assert r"a [/b] :smile: \x1b[2J" in printed
    assert "[laughs] Yes." in printed


def test_say_prints_the_name_of_its_file_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    seconds = say_text("Yes.", tmp_path / "[bold]\ny.wav")
    printed = capsys.readouterr().out
    assert printed.startswith(rf"{tmp_path}/[bold]\ny.wav: {seconds:.1f} s of speech")
