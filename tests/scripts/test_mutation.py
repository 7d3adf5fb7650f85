"""Mutation tests: which mutants are made, and what a run says of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cosmic_ray.mutating import mutate_code

from scripts.mutation.mutants import mutants_of
from scripts.mutation.operators import ADDED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("operator", ADDED)
def test_each_operator_makes_what_its_examples_show(operator):
    examples = operator.examples()
    for example in examples:
        made = mutate_code(example.pre_mutation_code, operator(), example.occurrence)
        assert made == example.post_mutation_code
    assert examples


def changes(source):
    return {(c.within, c.was, c.now, c.nth) for c in (m.change for m in mutants_of("m", source))}


def test_every_mutant_is_a_program_of_its_own_and_has_a_name_that_outlives_moved_lines():
    source = (
        "class A:\n    def f(self, a: int | None) -> int | None:\n        return a < 3  # why\n"
    )
    expected = {
        ("A.f", "return a < 3", f"return {now}", 1)
        for now in ("a <= 3", "a >= 3", "a < 4", "a < 2")
    }
    expected.add(("A.f", "return a < 3", "pass", 1))
    assert changes(source) == expected
    assert changes("\n\n" + source) == expected


def test_what_documents_or_narrows_is_left_alone():
    source = '"""Doc 1."""\n\n\ndef f(a):\n    """Doc 2."""\n    assert a is not None\n'
    source += '    raise ValueError("none")\n'
    assert changes(source) == {("f", 'raise ValueError("none")', "pass", 1)}


def test_equal_lines_in_one_function_are_counted():
    source = "def f(a):\n    a.b()\n    a.c()\n    a.b()\n"
    assert changes(source) == {
        ("f", "a.b()", "pass", 1),
        ("f", "a.c()", "pass", 1),
        ("f", "a.b()", "pass", 2),
    }


CORE = """
def clipped(x):
    return x if x < 1 else 1
"""
TESTS = """
from pure_core import clipped


def test_clipped():
    assert [clipped(x) for x in (0.5, 1.5)] == [0.5, 1]
"""
TABLE = """
target = 0.5

[core.pure]
modules = ["pure_core"]
tests = ["test_pure_core.py"]
"""
RUN = """
import sys
from pathlib import Path
from scripts.mutation import runner
from scripts.mutation.__main__ import main
from scripts.mutation.mutants import Change, Mutant
here = Path(sys.argv[1])
code = main([], here, here)
runner.SHORTEST_LIMIT_S = runner.LIMIT_FACTOR = 1.0
endless = Mutant(Change("pure_core", "", "", ""), "while True:\\n    pass", "")
core = runner.Core("pure", ["pure_core"], ["test_pure_core.py"])
print(*[verdict.outcome for verdict in runner.run(core, [endless], here, 1)])
sys.exit(code)
"""


@pytest.fixture
def pure(tmp_path):
    """A folder with a core, and what mutation tests say of it."""
    (tmp_path / "pure_core.py").write_text(CORE)
    (tmp_path / "test_pure_core.py").write_text(TESTS)
    (tmp_path / "cores.toml").write_text(TABLE)

    def run(accepted):
        (tmp_path / "survivors.toml").write_text(accepted)
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-c", RUN, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


SURVIVOR = """[[survivor]]
module = "pure_core"
within = "clipped"
was = "return x if x < 1 else 1"
now = "return x if x <= 1 else 1"
"""


def test_survivors_are_printed_until_they_are_accepted_and_only_while_they_survive(pure):
    first = pure("")
    assert f"+    return x if x <= 1 else 1\n{SURVIVOR}" in first.stdout, first.stderr
    *_, total, endless = first.stdout.splitlines()
    assert total.split() == ["total", "9", "8", "0", "1", "88.9", "%"]
    assert (endless, first.returncode) == ("timeout", 0)
    stale = SURVIVOR.replace("<= 1", "< 2")
    reason = 'reason = "equal: 1 is 1"\n'
    second = pure(f"{SURVIVOR}{reason}{stale}{reason}")
    assert second.stdout.splitlines()[-2].split() == ["total", "9", "8", "1", "0", "88.9", "%"]
    assert SURVIVOR not in second.stdout
    assert f"Accepted, but it does not survive:\n{stale}" in second.stdout
    assert second.returncode == 1
