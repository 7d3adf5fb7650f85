from pathlib import Path

import numpy as np
import pytest
import soundfile
from duplex_evals.audio.hum import voice_hum
from duplex_evals.audio.noises import NOISES, make_noise
from duplex_evals.audio.speech_energy import FRAME, active_rms, speech_spans, trim
from duplex_evals.audio.time_stretch import stretch
from duplex_evals.conversation import clips, pools
from duplex_evals.conversation.clips import SPEECH_DBFS, load_clip
from duplex_evals.conversation.pools import transcripts
from duplex_evals.conversation.scenario import Clip
from duplex_evals.errors import ClipError
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 16_000


def hum(ms: int) -> np.ndarray:
    return voice_hum(0, RATE * ms // 1000)  # at 16 kHz two thirds of its pitch: still a hum


@settings(deadline=None)
@given(lead=st.integers(0, 5_000), tail=st.integers(0, 5_000))
def test_trimming_finds_the_edges_of_the_speech(lead: int, tail: int) -> None:
    speech = hum(400)
    trimmed = trim(np.pad(speech, (lead, tail)))
    assert abs(len(trimmed) - len(speech)) < 2 * FRAME


def test_a_click_before_the_speech_is_cut_off() -> None:
    audio = np.pad(hum(400), (8_000, 0))
    audio[1_000:1_040] = 0.2
    assert abs(len(trim(audio)) - 6_400) < 2 * FRAME


@pytest.mark.parametrize(("gap_ms", "count"), [(60, 1), (150, 1), (280, 2), (900, 2)])
def test_a_pause_of_200_ms_parts_two_stretches(gap_ms: int, count: int) -> None:
    gap = np.zeros(RATE * gap_ms // 1000, np.float32)
    audio = trim(np.concatenate([hum(300), gap, hum(300)]))
    spans = speech_spans(audio)
    assert len(spans) == count
    assert (spans[0][0], spans[-1][1]) == (0, len(audio))
    if count == 2:
        assert 0 <= spans[1][0] - spans[0][1] - len(gap) < 6 * FRAME  # the hum ebbs


def test_every_clip_has_the_same_active_level(tmp_path: Path) -> None:
    for gain, pause in ((0.02, 100), (0.9, 2_000)):
        silence = np.zeros(RATE * pause // 1000, np.float32)
        audio = gain * np.concatenate([hum(500), silence, hum(500)])
        soundfile.write(tmp_path / f"{gain}.wav", audio, RATE)
        loaded = load_clip(Clip(file=str(tmp_path / f"{gain}.wav")))
        assert 20 * np.log10(active_rms(loaded)) == pytest.approx(SPEECH_DBFS, abs=0.05)


def test_a_clip_is_cut_before_it_is_trimmed(tmp_path: Path) -> None:
    file = tmp_path / "two.wav"
    soundfile.write(file, np.concatenate([hum(300), np.zeros(8_000), hum(500)]), RATE)
    second = load_clip(Clip(file=str(file), start_s=0.6))
    assert len(second) / RATE == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("clip", "complaint"),
    [
        (Clip(file="asterisk:no-such"), "apt-get install asterisk-core-sounds-en-wav"),
        (Clip(file="ambience:no-such"), "pip install --no-deps livekit-agents"),
        (Clip(file="/no/such.wav"), "/no/such.wav"),
        (Clip(file="attic:one"), "no pool is called 'attic'"),
        (Clip(file="noise:green"), "known noises are white"),
        (Clip(voice="nobody", text="Hello."), "no held-out voice is called 'nobody'"),
        (Clip(voice="rms", text="..."), "holds no sound"),
        (Clip(file="noise:white", start_s=2.0), "behind the end"),
    ],
)
def test_a_clip_that_cannot_be_had_says_what_to_do(clip: Clip, complaint: str) -> None:
    with pytest.raises(ClipError, match=complaint):
        load_clip(clip)


def test_files_without_sound_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not sound")
    soundfile.write(tmp_path / "silent.wav", np.zeros(1_000), RATE)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    for name, complaint in (("text", "not sound"), ("silent", "no sound"), ("empty", "empty")):
        with pytest.raises(ClipError, match=complaint):
            load_clip(Clip(file=str(tmp_path / f"{name}.wav")))


@pytest.mark.system
def test_a_spoken_clip_is_the_same_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "cache_dir", lambda: tmp_path)
    load_clip.cache_clear()
    clip = Clip(voice="rms", text="The street is very quiet this evening.")
    fresh = load_clip(clip)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    load_clip.cache_clear()
    np.testing.assert_array_equal(load_clip(clip), fresh)
    next(tmp_path.glob("*.npy")).write_bytes(b"damaged")
    load_clip.cache_clear()
    np.testing.assert_array_equal(load_clip(clip), fresh)


@settings(deadline=None)
@given(speed=st.floats(0.6, 1.8))
def test_a_stretched_tone_keeps_its_pitch(speed: float) -> None:
    tone = np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE).astype(np.float32)
    audio = stretch(tone, speed)
    assert len(audio) == pytest.approx(RATE / speed, abs=1)
    middle = audio[1_000 : len(audio) - 2_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 16))
    assert np.argmax(spectrum) * RATE / (1 << 16) == pytest.approx(220, rel=0.01)


@pytest.mark.parametrize("name", NOISES)
def test_every_noise_follows_its_seed(name: str) -> None:
    made = [make_noise(name, 8_000, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2]).max() > 1e-3
    assert np.sqrt((made[0] ** 2).mean()) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.system
def test_human_recordings_come_with_what_is_said() -> None:
    assert transcripts("asterisk")["vm-goodbye"] == "Goodbye"
    assert transcripts("librivox")["0880"] == "he was not an ill disposed young man"
    assert transcripts("cards")["003"] == "seven of clubs"
    assert pools.file_of("cards:003").is_file()
