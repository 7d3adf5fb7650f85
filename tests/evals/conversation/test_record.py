import json
from pathlib import Path

import numpy as np
import pytest
from duplex_evals.audio.hum import voice_hum
from duplex_evals.conversation.record import Placed, Record, load_record, save_record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import ResultError


def a_record() -> Record:
    user = np.zeros(16_000, np.float32)
    user[4_000:8_000] = voice_hum(0, 4_000)
    return Record(
        scenario=Scenario(id="x", family="custom", seed=7),
        agent_name="nobody",
        seed=3,
        user=user,
        agent=voice_hum(0, 23_040),
        placed=[
            Placed("a", "turn", "reply", "well", [(250.0, 400.0), (450.0, 500.0)]),
            Placed("b", "interruption", "stop", "no", []),
        ],
        events=[
            {"type": "user.turn_ended", "at_ms": 720, "text": "well", "end_ms": 480, "reason": ""},
            {"type": "reply.text.delta", "at_ms": 800, "reply_id": 1, "text": "So"},
            {"type": "reply.text.delta", "at_ms": 880, "reply_id": 1, "text": " it is."},
        ],
        compute_ms=[1.5, 2.0],
        late_packets=2,
    )


def test_a_record_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    record = a_record()
    save_record(record, tmp_path / "r")
    back = load_record(tmp_path / "r")
    for name in ("scenario", "agent_name", "seed", "placed", "events", "compute_ms", "transport"):
        assert getattr(back, name) == getattr(record, name)
    assert (back.heard_text, back.agent_text) == ("well", "So it is.")
    assert back.placed[1].start_ms is None
    np.testing.assert_allclose(back.agent, record.agent, atol=2 / 32768)
    assert len(back.user) == len(record.user)
    # Twice through a resampler: its ringing at the hard edges is left out.
    np.testing.assert_allclose(back.user[4_200:7_800], record.user[4_200:7_800], atol=0.02)


def test_the_label_track_names_every_stretch_of_speech(tmp_path: Path) -> None:
    save_record(a_record(), tmp_path)
    labels = (tmp_path / "labels.txt").read_text().splitlines()
    assert labels == ["0.2500\t0.4000\tturn: well", "0.4500\t0.5000\tturn: well"]


def test_a_full_disk_is_one_error_and_leaves_no_record_behind(tmp_path: Path) -> None:
    (tmp_path / "record.part").symlink_to("/dev/full")
    with pytest.raises(ResultError, match="No space left"):
        save_record(a_record(), tmp_path)
    assert not (tmp_path / "record.json").exists()


def test_a_folder_that_cannot_be_made_is_a_result_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="file"):
        save_record(a_record(), tmp_path / "file" / "r")


def test_broken_and_foreign_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError):
        load_record(tmp_path / "nothing")
    save_record(a_record(), tmp_path)
    meta = (tmp_path / "record.json").read_text()
    (tmp_path / "record.json").write_text(json.dumps(json.loads(meta) | {"version": 0}))
    with pytest.raises(ResultError, match="another version"):
        load_record(tmp_path)
    (tmp_path / "record.json").write_text(meta[:50])
    with pytest.raises(ResultError):
        load_record(tmp_path)
    (tmp_path / "record.json").write_text(meta)
    (tmp_path / "audio.wav").write_bytes(b"RIFF, or not")
    with pytest.raises(ResultError):
        load_record(tmp_path)
