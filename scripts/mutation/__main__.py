"""Mutation tests of the pure cores: ``python -m scripts.mutation [CORE ...]``.

The cores and their tests stand in ``cores.toml``; survivors that are accepted, each with its
reason, in ``survivors.toml``, both beside this file. Others are printed, with the lines that accept
them. Exits with 1 if a core's kill rate is below the target or an accepted survivor no longer
survives, with 2 if a core cannot be run.
"""

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.mutation.mutants import Change, mutants_of
from scripts.mutation.runner import Core, CoreError, Verdict, run, source_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Outcome:
    """The verdicts on all mutants of a core."""

    core: Core
    verdicts: Sequence[Verdict]
    accepted: Mapping[Change, str]

    @property
    def killed(self) -> int:
        return sum(verdict.killed for verdict in self.verdicts)

    @property
    def rate(self) -> float:
        return self.killed / max(1, len(self.verdicts))

    @property
    def survivors(self) -> list[Verdict]:
        """Those that nobody has accepted, in the order of the source."""
        return [v for v in self.verdicts if not v.killed and v.mutant.change not in self.accepted]

    @property
    def stale(self) -> list[Change]:
        """Accepted survivors of this core that are killed, or no mutants any more."""
        alive = {v.mutant.change for v in self.verdicts if not v.killed}
        return [c for c in self.accepted if c.module in self.core.modules and c not in alive]

    def row(self) -> str:
        left = len(self.verdicts) - self.killed
        return _row(self.core.name, len(self.verdicts), self.killed, left, len(self.survivors))


def read_cores(path: Path) -> tuple[float, list[Core]]:
    """The target and the cores of a table like ``cores.toml``."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    cores = [Core(name, c["modules"], c["tests"]) for name, c in table["core"].items()]
    return table["target"], cores


def read_accepted(path: Path) -> dict[Change, str]:
    """Accepted survivors and the reason for each."""
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {Change(**{k: v for k, v in r.items() if k != "reason"}): r["reason"] for r in rows}


def measure(core: Core, accepted: Mapping[Change, str], root: Path, jobs: int) -> Outcome:
    """Run the tests of ``core`` against all its mutants."""
    mutants = [
        mutant
        for module in core.modules
        for mutant in mutants_of(module, source_of(module, root).read_text(encoding="utf-8"))
    ]
    found = {verdict.mutant.change: verdict for verdict in run(core, mutants, root, jobs)}
    return Outcome(core, [found[mutant.change] for mutant in mutants], accepted)


def main(words: Sequence[str] | None = None, here: Path = HERE, root: Path = ROOT) -> int:
    """Measure, print, and say by the exit status whether the target is reached.

    ``here`` is the folder of the two tables, ``root`` that of modules and tests.
    """
    target, cores = read_cores(here / "cores.toml")
    names = [core.name for core in cores]
    parser = argparse.ArgumentParser(prog="python -m scripts.mutation", description="Kill rates.")
    parser.add_argument("core", nargs="*", help=f"all, or some of: {', '.join(names)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args(words)
    if unknown := set(arguments.core) - set(names):
        parser.error(f"no such core: {', '.join(sorted(unknown))}")
    os.chdir(root)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    accepted = read_accepted(here / "survivors.toml")
    outcomes = []
    for core in cores:
        if arguments.core and core.name not in arguments.core:
            continue
        try:
            outcomes.append(measure(core, accepted, root, arguments.jobs))
        except CoreError as error:
            print(error, file=sys.stderr)
            return 2
        _print_survivors(outcomes[-1])
    return _print_table(outcomes, target)


def _print_survivors(outcome: Outcome) -> None:
    for verdict in outcome.survivors:
        print(f"\n{verdict.mutant.diff}\n{_as_row(verdict.mutant.change)}", flush=True)
    for change in outcome.stale:
        print(f"\nAccepted, but it does not survive:\n{_as_row(change)}", flush=True)


def _as_row(change: Change) -> str:
    """The change as it stands in ``survivors.toml``, without its reason."""
    fields = {key: value for key, value in asdict(change).items() if (key, value) != ("nth", 1)}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["[[survivor]]", *lines])


def _print_table(outcomes: Sequence[Outcome], target: float) -> int:
    print("\n" + f"{'core':<12}{'mutants':>9}{'killed':>9}{'accepted':>10}{'survived':>10}   rate")
    for outcome in outcomes:
        print(outcome.row())
    mutants = sum(len(outcome.verdicts) for outcome in outcomes)
    killed = sum(outcome.killed for outcome in outcomes)
    survived = sum(len(outcome.survivors) for outcome in outcomes)
    print(_row("total", mutants, killed, mutants - killed, survived))
    good = all(outcome.rate >= target and not outcome.stale for outcome in outcomes)
    return 0 if good else 1


def _row(name: str, mutants: int, killed: int, alive: int, survived: int) -> str:
    rate = 100 * killed / max(1, mutants)
    return f"{name:<12}{mutants:>9}{killed:>9}{alive - survived:>10}{survived:>10}{rate:>6.1f} %"


if __name__ == "__main__":
    sys.exit(main())
