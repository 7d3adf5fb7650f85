"""Rows that survive a broken run, and reports made of them."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from duplex_evals.errors import EvalError, ResultError
from duplex_evals.understanding import report, text
from duplex_evals.understanding.evaluate import main
from duplex_evals.understanding.report import Bar, PartReport, Table
from duplex_evals.understanding.result_rows import ResultRows
from duplex_evals.understanding.subject import Subject


def test_a_row_is_made_once_and_found_by_a_later_run(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    made: list[int] = []
    rows = ResultRows(file)
    for _ in range(2):
        assert rows.made("a", lambda: made.append(1) or {"heard": "ä"}) == {"heard": "ä"}
    assert ResultRows(file).made("a", lambda: {"heard": "other"}) == {"heard": "ä"}
    assert made == [1]


def test_a_torn_last_row_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    ResultRows(file).made("a", lambda: {"n": 1})
    with file.open("a") as stream:
        stream.write('{"key": "b", "n"')
    rows = ResultRows(file)
    assert rows.made("a", dict) == {"n": 1}
    assert rows.made("b", lambda: {"n": 2}) == {"n": 2}
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()] == ["a", "b"]


@pytest.mark.parametrize("content", ["no json\n", "[1]\n", '{"n": 1}\n'])
def test_a_foreign_row_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(ResultError, match="delete it"):
        ResultRows(tmp_path / "rows.jsonl")


class _Mind:
    """Knows every answer, or none."""

    def __init__(self, mark: str, knows: bool) -> None:
        self.llm_mark, self.knows = mark, knows
        self.lora = None
        self.asker = SimpleNamespace(reply_to_text=self._reply)

    def _reply(self, asked: str) -> str:
        [question] = [q for q in text.text_questions() if q.ask == asked]
        return f"It is {question.answers[0]}." if self.knows else "I am not sure."


def test_a_finished_run_needs_no_model_and_says_the_same(tmp_path: Path) -> None:
    rows = ResultRows(tmp_path / "rows.jsonl")
    first = text.measure(_Mind("clever", True), rows, 24)
    nobody = SimpleNamespace(llm_mark="clever", lora=None)
    assert text.measure(nobody, ResultRows(tmp_path / "rows.jsonl"), 24) == first
    assert first.tables[0].rows[0][1] == "100.0 % (100.0 to 100.0)"


def test_a_lora_is_held_against_the_bare_model_on_the_same_questions(tmp_path: Path) -> None:
    style = _Mind("with LoRA", False)
    style.lora = tmp_path / "style.safetensors"
    style.without_lora = lambda: _Mind("bare", True)
    found = text.measure(style, ResultRows(tmp_path / "rows.jsonl"), 12)
    bare, lora, difference = found.tables[0].rows
    assert (bare[0], lora[0]) == ("bare", "with LoRA")
    assert difference[1].startswith("-100.0")
    assert [row[-1] for row in found.details[0].rows] == ["lost"] * 12


def test_the_report_holds_the_parts_of_earlier_runs_too(tmp_path: Path) -> None:
    table = Table("Right | wrong", ["a", "b"], [["1\n2", "x|y"]], "A note.")
    report.write(tmp_path, PartReport("text", "Text", {"model": "m"}, [table]))
    bars = [Bar("clean", 0.5, 0.4, 0.6, 0.7), Bar("noise", 0.2)]
    made, plot = report.write(tmp_path, PartReport("questions", "Questions", {}, [table], [], bars))
    written = made.read_text()
    assert written.index("## Questions") < written.index("## Text")
    assert "| 1 2 | x\\|y |" in written
    assert plot.stat().st_size > 1000


def test_a_damaged_part_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ear.json").write_text('{"part": "ear"}')
    with pytest.raises(ResultError, match=r"ear\.json"):
        report.write(tmp_path, PartReport("text", "Text", {}, []))


def test_what_cannot_be_measured_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="questions"):
        main(["nonsense"], out=tmp_path)
    with pytest.raises(EvalError, match="look-ahead"):
        main(["text"], out=tmp_path, look_ahead=3)
    with pytest.raises(EvalError, match="missing"):
        main(["text"], out=tmp_path, lora=str(tmp_path / "missing.safetensors"))
    with pytest.raises(EvalError, match="cannot read"):
        _ = Subject(ear_weights=tmp_path / "none").ear_mark
