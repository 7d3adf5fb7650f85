"""What ``duplex-evals run`` does: suites and agents by name, progress, reports, gates."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from duplex_agent.terminal import Console
from duplex_evals.conversation.scenario import Scenario, read_scenarios
from duplex_evals.errors import EvalError, TargetError
from duplex_evals.families.suites import SUITES, suite
from duplex_evals.metrics.result import Summary
from duplex_evals.report.build import build, case_of
from duplex_evals.report.document import Report
from duplex_evals.report.gates import judge, read_gates
from duplex_evals.report.labels import cell, interval
from duplex_evals.report.metadata import run_metadata, weights_hash
from duplex_evals.report.page import HEADLINES
from duplex_evals.report.write import write_comparison, write_report
from duplex_evals.runners.agent import Agent
from duplex_evals.runners.batch import Outcome, Runner, run_cases
from duplex_evals.runners.targets import OfflineTarget, Target, parse_target

WAVCHAT = "wavchat"


class UsageError(EvalError):
    """A suite, agent or option that does not exist or does not fit."""


@dataclass(frozen=True)
class Order:
    """What the command line asks for; ``out`` gets a folder SUITE-AGENT for every agent."""

    suite: str
    agents: Sequence[str]
    out: Path
    limit: int | None = None
    seed: int = 0
    jobs: int = 1
    gates: Path | None = None
    judge_url: str = ""


def run_order(order: Order, console: Console) -> bool:
    """Run a suite against each agent and report; True when everything passed.

    With several agents a comparison is written beside their folders. Raises UsageError, GateError,
    ResultError, and TargetError after reporting what was finished.
    """
    gates = read_gates(order.gates) if order.gates else []
    targets = [(text, _target(text)) for text in order.agents]
    scenarios = [] if order.suite == WAVCHAT else read_suite(order.suite, order.limit)
    reports, folders = [], []
    for text, target in targets:
        folder = order.out / _slug(f"{Path(order.suite).stem}-{target.name}")
        if order.suite == WAVCHAT:
            report = _wavchat(order, text, target, folder, console)
        else:
            report = _duplex(order, text, target, scenarios, folder, console)
        verdicts = judge(gates, report.summary)
        report = replace(report, gates=[(v.passed, v.text) for v in verdicts])
        write_report(report, folder)
        _print(report, folder, console)
        reports.append(report)
        folders.append(folder)
    if len(reports) > 1:
        write_comparison(reports, folders, order.out)
        console.print(f"side by side: {order.out / 'compare.html'}")
    return all(not r.failed and all(ok for ok, _ in r.gates) for r in reports)


def read_suite(name: str, limit: int | None) -> list[Scenario]:
    """The scenarios of a suite or of a YAML file. Raises UsageError and ScenarioError."""
    if name in SUITES:
        return suite(name, limit)
    if name.endswith((".yaml", ".yml")):
        return read_scenarios(Path(name))[:limit]
    raise UsageError(f"no suite {name!r}: {', '.join([*SUITES, WAVCHAT])} or a YAML file")


def open_runner(text: str) -> Runner:
    """The runner of an agent, in whichever process this is called."""
    import torch

    torch.set_num_threads(1)
    target = parse_target(text)
    if isinstance(target, OfflineTarget):
        _ = target.agent  # an agent that cannot be loaded ends the run, not each conversation
    return target.run


def _open_agent(text: str) -> Agent:
    import torch

    torch.set_num_threads(1)
    target = parse_target(text)
    assert isinstance(target, OfflineTarget)
    return target.agent


def _target(text: str) -> Target:
    try:
        return parse_target(text)
    except TargetError as error:
        raise UsageError(str(error)) from error


def _duplex(
    order: Order,
    text: str,
    target: Target,
    scenarios: list[Scenario],
    folder: Path,
    console: Console,
) -> Report:
    """Hold the conversations and build the report, also of a run that broke off."""
    jobs = 1 if target.live else order.jobs
    meta = run_metadata(order.suite, target.name, order.seed, order.limit, jobs)
    found: dict[str, Outcome] = {}
    runner = partial(open_runner, text)
    with _bar(console) as bar:
        task = bar.add_task(target.name, total=len(scenarios))
        cases = run_cases(scenarios, order.seed, _version(target), runner, folder, jobs)
        try:
            for outcome in cases:
                found[outcome.scenario.id] = outcome
                bar.advance(task)
                if outcome.error:
                    bar.console.print(f"{outcome.scenario.id}: {outcome.error}")
        except (TargetError, KeyboardInterrupt):
            finished = [o for o in found.values() if not o.error]
            if finished:
                write_report(build(finished, meta, folder, target.abilities), folder)
            raise
    console.print(f"{target.name}: measuring {len(found)} conversations")
    ordered = [found[s.id] for s in scenarios]
    return build(ordered, meta, folder, target.abilities)


def _wavchat(order: Order, text: str, target: Target, folder: Path, console: Console) -> Report:
    from duplex_evals.wavchat.suite import run as run_wavchat

    if not isinstance(target, OfflineTarget):
        raise UsageError(f"{WAVCHAT} talks through the tick: local or cascade, not a URL")
    meta = run_metadata(WAVCHAT, target.name, order.seed, order.limit, order.jobs)
    outcomes: list[Outcome] = []

    def shown(held: Iterable[Outcome], total: int) -> Iterator[Outcome]:
        with _bar(console) as bar:
            task = bar.add_task(target.name, total=total)
            for outcome in held:
                outcomes.append(outcome)
                bar.advance(task)
                yield outcome
        console.print(f"{target.name}: listening to {len(outcomes)} replies")

    # records of other weights are other records
    kept = folder / sha256(_version(target).encode()).hexdigest()[:10]
    results = run_wavchat(
        partial(_open_agent, text),
        kept,
        order.limit,
        order.judge_url or None,
        order.seed,
        order.jobs,
        shown,
    )
    cases = [case_of(outcome, folder) for outcome in outcomes]
    return Report(meta, Summary(results), cases)


def _version(target: Target) -> str:
    """The agent's name with all that changes its answers: what results are cached by."""
    if target.name != "local":
        return target.name
    from duplex_agent.duplex.session import SessionConfig

    settings = sha256(repr(SessionConfig()).encode()).hexdigest()[:12]
    return f"local {weights_hash()} {settings}"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _print(report: Report, folder: Path, console: Console) -> None:
    """The headlines, the gates, and where the rest is."""
    results = {f.name: f for f in report.summary.results if not f.family + f.subtype + f.voice}
    table = Table(title=f"{report.agent}, {report.meta['suite']}", show_header=False)
    for name, verb, about in HEADLINES:
        if name in results:
            table.add_row(f"{verb} {about}", cell(results[name]), interval(results[name]))
    if table.rows:
        console.print(table)
    for passed, text in report.gates:
        console.print(f"{'pass' if passed else 'FAIL'}  {text}")
    if report.failed:
        console.print(f"{len(report.failed)} conversations could not be held")
    console.print(f"report: {folder / 'report.html'}")


def show_suites(console: Console) -> None:
    """Print what can be run."""
    from duplex_evals.runners import targets

    table = Table(title="suites")
    table.add_column("name")
    table.add_column("conversations", justify="right")
    table.add_column("families")
    for name, made in SUITES.items():
        scenarios = made()
        families = dict.fromkeys(s.family for s in scenarios)
        table.add_row(name, str(len(scenarios)), ", ".join(families))
    table.add_row(WAVCHAT, "", "every row of the WavChat survey's table")
    console.print(table)
    agents = str(targets.__doc__).partition("\n\n")[2].strip()
    console.print(f"agents\n{agents}")
