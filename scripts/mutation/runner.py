"""Runs the tests of a core against each of its mutants.

cosmic-ray's own runner writes every mutant over the source file and starts a Python for it, which
takes some seconds each. Here a process that has imported what the tests need from elsewhere
(numpy, pytest, hypothesis) forks once a mutant, and an import hook gives the fork the changed
text: nothing on disk is touched, and tests of milliseconds take milliseconds.

A subprocess that a test starts would see the original: cores are to be tested in their own process.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from multiprocessing import Pipe, connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from scripts.mutation.mutants import Mutant

FORK = get_context("fork")
FIRST_PARTY = ("duplex_agent", "duplex_kernels", "duplex_evals", "duplex_baselines")
SHORTEST_LIMIT_S = 10.0
LIMIT_FACTOR = 10.0


class CoreError(Exception):
    """A core cannot be run: its module or its tests are not as the table says."""


@dataclass(frozen=True)
class Core:
    """Modules, and the tests (files or node ids) that must kill their mutants."""

    name: str
    modules: Sequence[str]
    tests: Sequence[str]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: "failed", "timeout" (both are killed) or "survived"."""

    mutant: Mutant
    outcome: str

    @property
    def killed(self) -> bool:
        return self.outcome != "survived"


def source_of(module: str, root: Path) -> Path:
    """The module's file, which must lie in the repository at ``root``."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise CoreError(f"{module}: no such module")
    path = Path(spec.origin)
    if not path.is_relative_to(root):
        raise CoreError(f"{module} is imported from {path}, outside {root}: set PYTHONPATH")
    return path


def run(core: Core, mutants: Sequence[Mutant], root: Path, jobs: int) -> Iterator[Verdict]:
    """Verdicts as they come. Raises CoreError if the tests fail without a mutant."""
    _preload(core)
    started = time.monotonic()
    if (code := _baseline(core, root)) != 0:
        raise CoreError(f"{core.name}: its tests fail on the unchanged code (pytest gives {code})")
    limit_s = max(SHORTEST_LIMIT_S, LIMIT_FACTOR * (time.monotonic() - started))
    waiting = list(reversed(mutants))
    running: dict[int, tuple[ForkProcess, Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            path = source_of(mutant.change.module, root)
            process = FORK.Process(
                target=_child, args=(core, {mutant.change.module: (path, mutant.source)})
            )
            process.start()
            running[process.sentinel] = process, mutant, time.monotonic() + limit_s
        soonest_s = min(due for _, _, due in running.values())
        connection.wait(list(running), timeout=max(0.0, soonest_s - time.monotonic()))
        for sentinel, (process, mutant, due) in list(running.items()):
            if process.exitcode is not None:
                outcome = "survived" if process.exitcode == 0 else "failed"
            elif time.monotonic() >= due:
                outcome = "timeout"
                process.kill()
                process.join()
            else:
                continue
            del running[sentinel]
            yield Verdict(mutant, outcome)


def _preload(core: Core) -> None:
    """Import here what the tests import from elsewhere, so that no fork does it again."""
    receiver, sender = Pipe(duplex=False)
    process = FORK.Process(target=_name_imports, args=(core, sender))
    process.start()
    sender.close()
    try:
        names = receiver.recv()
    except EOFError:
        names = []
    process.join()
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _name_imports(core: Core, sender: Connection) -> None:
    _pytest(core, "--collect-only")
    sender.send([n for n, module in list(sys.modules.items()) if _installed(n, module)])


def _installed(name: str, module: ModuleType) -> bool:
    if name.split(".")[0] in FIRST_PARTY or name == "__main__":
        return False
    return "site-packages" in (getattr(module, "__file__", None) or "")


def _baseline(core: Core, root: Path) -> int | None:
    sources = {name: source_of(name, root) for name in core.modules}
    same = {name: (path, path.read_text(encoding="utf-8")) for name, path in sources.items()}
    process = FORK.Process(target=_child, args=(core, same))
    process.start()
    process.join()
    return process.exitcode


def _child(core: Core, sources: Mapping[str, tuple[Path, str]]) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in FIRST_PARTY]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Changed(sources))
    os._exit(_pytest(core, "--exitfirst"))


def _pytest(core: Core, *options: str) -> int:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    _steady_hypothesis()
    return int(pytest.main([*core.tests, *options, "-q", "-p", "no:cacheprovider"]))


def _steady_hypothesis() -> None:
    """The same examples in every run, and no time spent on making a failing one smaller."""
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutation", derandomize=True, database=None, phases=phases)
    settings.load_profile("mutation")


class _Changed:
    """A finder that gives some modules another source text."""

    def __init__(self, sources: Mapping[str, tuple[Path, str]]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in self._sources:
            return None
        file, text = self._sources[name]
        return importlib.util.spec_from_file_location(
            name, file, loader=_ChangedLoader(name, file, text)
        )


class _ChangedLoader(SourceFileLoader):
    def __init__(self, name: str, file: Path, text: str) -> None:
        super().__init__(name, str(file))
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)
