"""Sound files: every rate, channel count and kind; every wrong file gives one clear line."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from duplex_agent.audio.files import AudioReader, WavWriter, read_audio, write_wav
from duplex_agent.errors import AudioError


def tone(rate_hz: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(
        np.float32
    )


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_any_rate_comes_out_as_the_same_tone(tmp_path: Path, rate_hz: int, kind: str) -> None:
    path = tmp_path / f"tone.{kind}"
    soundfile.write(path, tone(rate_hz, 1.5), rate_hz)
    sound = read_audio(path, 16_000)
    assert abs(len(sound) - 24_000) <= 1
    middle = sound[4_000:-4_000]
    assert np.abs(middle - tone(16_000, 1.5)[4_000 : 4_000 + len(middle)]).max() < 2e-3


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_channels_are_mixed_or_kept(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "many.wav"
    columns = np.stack([tone(16_000) * (c + 1) / channels for c in range(channels)], axis=1)
    soundfile.write(path, columns, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path, 16_000), columns.mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(read_audio(path, 16_000, mono=False), columns)
    assert read_audio(path, 8_000, mono=False).shape == (8_000, channels)


def test_ogg_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tone.ogg"
    soundfile.write(path, tone(44_100, 1.0), 44_100)
    sound = read_audio(path, 16_000)
    assert abs(len(sound) - 16_000) <= 1
    assert np.abs(np.fft.rfft(sound)).argmax() == 440


def test_blocks_do_not_change_the_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(22_050, 2.0), 22_050, subtype="FLOAT")
    whole = read_audio(path, 16_000)
    monkeypatch.setattr("duplex_agent.audio.files.BLOCK_S", 0.017)
    np.testing.assert_allclose(read_audio(path, 16_000), whole, atol=1e-6)


def test_a_long_file_is_refused_whole_but_streams(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with WavWriter(path, 1_000, 1) as writer:
        for _ in range(2 * 60):
            writer.write(np.zeros(60_000, dtype=np.float32))
    with pytest.raises(AudioError, match="over 60 minutes"):
        read_audio(path, 1_000)
    with AudioReader(path, 1_000) as reader:
        assert reader.duration_s == 7_200
        assert sum(len(block) for block in reader.blocks()) == 7_200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello, I am not a sound file" * 50, "not an audio file"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not an audio file"),
    ],
)
@pytest.mark.parametrize("name", ["x.wav", "x.raw", "x"])
def test_not_sound_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        read_audio(path, 16_000)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_by_name_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match=r"pipe\.wav is a pipe or a device"):
        read_audio(tmp_path / "pipe.wav", 16_000)
    with pytest.raises(AudioError, match=r"/dev/null is a pipe or a device"):
        read_audio("/dev/null", 16_000)


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"two\nlines\x1b[31m.wav"])
def test_a_file_may_have_any_name_that_the_system_allows(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    write_wav(path, tone(16_000), 16_000)
    assert len(read_audio(path, 16_000)) == 16_000


def test_missing_file_and_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        read_audio(tmp_path / "absent.wav", 16_000)
    with pytest.raises(AudioError, match="not a file"):
        read_audio(tmp_path, 16_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 32_768.0])
def test_samples_that_are_no_sound_are_refused(tmp_path: Path, bad: float) -> None:
    sound = tone(16_000)
    sound[5_000] = bad
    soundfile.write(tmp_path / "bad.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"NaN|peaks at"):
        read_audio(tmp_path / "bad.wav", 16_000)


def test_a_header_without_samples_is_empty(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(0, dtype=np.float32), 16_000)
    with pytest.raises(AudioError, match="empty"):
        read_audio(tmp_path / "none.wav", 16_000)


def test_a_rate_that_sound_cannot_have_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "odd.wav", tone(16_000), 7)
    with pytest.raises(AudioError, match="sample rate 7 Hz"):
        read_audio(tmp_path / "odd.wav", 16_000)


def test_stereo_wav_holds_what_was_written(tmp_path: Path) -> None:
    columns = np.stack([tone(24_000), -tone(24_000, hz=300.0)], axis=1)
    columns[0, 0] = 1.7  # clipped, not wrapped around
    write_wav(tmp_path / "two.wav", columns, 24_000)
    back, rate_hz = soundfile.read(tmp_path / "two.wav", dtype="float32")
    assert rate_hz == 24_000
    np.testing.assert_allclose(back, columns.clip(-1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("target", "message"),
    [("absent/x.wav", "no such file"), (".", "is a directory"), ("/dev/full", "no space left")],
)
def test_unwritable_output_is_one_line(tmp_path: Path, target: str, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        write_wav(tmp_path / target, tone(24_000, 3.0), 24_000)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """The system takes no more than 100 kB of any file: a disk that fills up, without the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("seconds", [2.09, 6.0])  # a little too much, found on closing; and far
def test_a_disk_that_fills_up_leaves_no_half_file(
    tmp_path: Path, full_disk: None, seconds: float
) -> None:
    with pytest.raises(AudioError, match=r"cannot write .*x\.wav"):
        write_wav(tmp_path / "x.wav", tone(24_000, seconds), 24_000)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_work_leaves_no_half_file_and_spares_devices(tmp_path: Path) -> None:
    bad = [tone(24_000), "no sound"]
    for path in (tmp_path / "x.wav", Path("/dev/null")):
        with pytest.raises(TypeError), WavWriter(path, 24_000, 1) as writer:
            list(map(writer.write, bad))
    assert list(tmp_path.iterdir()) == []
    assert Path("/dev/null").exists()
