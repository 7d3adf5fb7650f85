from pathlib import Path

import numpy as np
import pytest
from duplex_evals.errors import ResultError
from duplex_evals.texts import lines
from duplex_evals.voice.drift import long_reply, sentence_ticks
from duplex_evals.voice.report import plot_steps, results_table, shown
from duplex_evals.voice.results import voice_results
from duplex_evals.voice.rows import Row, RowFile
from duplex_evals.voice.speaking import speak, ticks_until_audio
from duplex_evals.voice.spectrogram import mel_picture

from duplex_agent.train.data.text import normalise
from duplex_agent.voice.spoken_text import speakable
from duplex_agent.voice.voice import load_voice


def _row(errors: int, voice: list[float] | None = None, **others: float) -> Row:
    facts = {"seconds": 2.0, "cpu_s": 0.5, "wall_s": 1.0, **others}
    return Row("text", "heard", errors, 10, [], ["x"], 3.0, None, voice, **facts)  # type: ignore[arg-type]


def test_results_are_corpus_rates_and_likeness_is_to_the_mean_teacher() -> None:
    teacher = [_row(0, [1.0, 0.0]), _row(1, [0.0, 1.0])]
    found = voice_results([_row(1, [1.0, 0.0]), _row(3, [1.0, 1.0])], teacher, evaluations=2)
    assert found.wer == pytest.approx(4 / 20)
    assert found.rtf == pytest.approx(0.25)
    assert found.similarity == pytest.approx((2**-0.5 + 1) / 2)
    assert found.repeated == 2
    assert found.p808 is None
    assert shown("p808", found.p808) == "not measured"


def test_a_run_goes_on_behind_the_rows_it_made(tmp_path: Path) -> None:
    first = RowFile(tmp_path / "rows.jsonl")
    first.add("a/one", _row(1, [0.5, 0.5]))
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"key": "b/one", "text": "torn')
    RowFile(tmp_path / "rows.jsonl").add("c/one", _row(2))
    again = RowFile(tmp_path / "rows.jsonl")
    assert again.get("c/one") == _row(2)
    assert again.get("a/one") == _row(1, [0.5, 0.5])
    assert again.get("b/one") is None


def test_a_damaged_row_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"key": "a", "text": 1}\n', "utf-8")
    with pytest.raises(ResultError, match="delete it"):
        RowFile(tmp_path / "rows.jsonl")


def test_steps_make_a_table_column_and_a_plot_point_each(tmp_path: Path) -> None:
    found = {n: voice_results([_row(n, [1.0, 0.0])], [], n) for n in (1, 2)}
    table = results_table({f"{n} steps": f for n, f in found.items()}, None)
    assert [c.header for c in table.columns][1:3] == ["1 steps", "2 steps"]
    assert plot_steps(tmp_path, found, None).stat().st_size > 1000


def test_the_held_out_list_has_two_hundred_different_sentences() -> None:
    held_out = lines("mouth_sentences.txt")
    assert len({normalise(s) for s in held_out}) == 200
    assert all(speakable(s) for s in held_out)


def test_a_long_reply_begins_and_ends_with_the_same_minute() -> None:
    first, middle, last = long_reply(load_voice(), lines("mouth_sentences.txt")[:12], 0.4)
    assert first == last
    assert first
    assert middle
    assert not set(first) & set(middle)


def test_a_sentence_is_cut_out_of_a_reply_with_its_first_word() -> None:
    sentence = "Honey never really spoils."
    chars = speak(load_voice(), f"{sentence} {sentence}", seed=0).chars
    first, last = sentence_ticks(chars, 0, len(sentence))
    again, end = sentence_ticks(chars, len(sentence) + 1, 2 * len(sentence) + 1)
    assert first == 0
    assert last - 1 <= again <= last
    assert abs((last - first) - (end - again)) <= 1


def test_speech_is_timed_and_starts_at_once_when_the_text_is_there() -> None:
    voice = load_voice()
    speech = speak(voice, "Good morning, how are you?", seed=0)
    assert speech.first_tick == 0
    assert speech.chars[-1] == len("Good morning, how are you?")
    assert len(speech.cpu_ms) == len(speech.wall_ms) == len(speech.pcm) // 1920
    assert ticks_until_audio(voice, "... !") is None
    assert 0 < (ticks_until_audio(voice, "Good morning, how are you?") or 0) <= 5


def test_a_rising_tone_rises_in_the_picture() -> None:
    seconds = np.arange(24_000) / 24_000
    picture = mel_picture(np.sin(2 * np.pi * (300 + 2000 * seconds) * seconds).astype(np.float32))
    darkest = picture.argmin(axis=0)
    assert picture.shape[0] == 96
    assert darkest[10] > darkest[50] > darkest[90]  # rows count from the top
