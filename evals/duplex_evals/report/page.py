"""The HTML page: one file without anything outside it, for one run or several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from duplex_evals.report import charts, labels
from duplex_evals.report.document import Case, Report
from duplex_evals.report.published import published
from duplex_evals.report.table import chapters

COLOURS: Final = ("#e8590c", "#0c8599", "#862e9c", "#2b8a3e", "#c2255c", "#5c940d")
# What is asked first of a duplex agent; the rest stands in the tables.
HEADLINES: Final = (
    ("voice_to_voice_answered_p50", "answers after", "median, from the user's last sound"),
    ("missed_response_rate", "leaves unanswered", "of the user's turns"),
    ("false_start_rate", "speaks too early", "before the end of user turns"),
    ("yield_rate_2s", "yields", "to interruptions within 2 s"),
    ("false_interruption_rate", "stops wrongly", "for mm-hmm, coughs, others' talk"),
    ("spurious_response_rate", "answers wrongly", "what was not meant for it"),
)
HISTOGRAMS: Final = {
    "voice_to_voice_answered": "Response latency, answered turns (ms)",
    "barge_in_stop": "Time to stop when interrupted (ms)",
    "floor_transfer_offset": "Floor transfer offset (ms; negative: overlap)",
}
# What is told beside each conversation: its times, and what went wrong in it.
TOLD: Final = {
    "voice_to_voice_answered": "ms",
    "barge_in_stop": "ms",
    "missed_response_rate": "share",
    "premature_rate": "share",
    "false_start_rate": "share",
    "pause_takeover_rate": "share",
    "false_interruption_rate": "share",
    "spurious_response_rate": "share",
    "unprompted_speech_rate": "share",
}


@dataclass(frozen=True)
class Side:
    """One run's view of a conversation. ``src``: its sound, where the page lies beside it."""

    agent: str
    colour: str
    drawing: Markup
    facts: list[tuple[str, str]]
    error: str
    src: str


@dataclass(frozen=True)
class Talk:
    """One scenario under every run."""

    id: str
    about: str
    sides: list[Side]


def page(reports: Sequence[Report], sources: Sequence[str]) -> str:
    """The page of ``reports``. ``sources``: for each the way from the page to its folder."""
    histograms = []
    for name, title in HISTOGRAMS.items():
        drawn = charts.histogram(
            [(r.agent, r.summary.samples.get(name, [])) for r in reports], COLOURS
        )
        if drawn:
            histograms.append((title, drawn))
    return _template().render(
        reports=reports,
        colours=COLOURS,
        headlines=_headlines(reports),
        chapters=chapters(reports),
        histograms=histograms,
        published=published(reports),
        families=_families(reports, sources),
        flat=_flat,
    )


@cache
def _template() -> Any:
    def source(name: str) -> str:
        return files("duplex_evals.report").joinpath("templates", name).read_text("utf-8")

    environment = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _headlines(reports: Sequence[Report]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    rows = []
    known = {result.name for report in reports for result in report.summary.results}
    for name, verb, about in HEADLINES:
        if name not in known:
            continue
        values = []
        for report in reports:
            results = {f.name: f for f in report.summary.results if not f.family + f.voice}
            result = results.get(name)
            values.append((labels.cell(result), labels.interval(result)))
        rows.append((verb, about, values))
    return rows


def _families(reports: Sequence[Report], sources: Sequence[str]) -> list[tuple[str, list[Talk]]]:
    """Conversations by family, each with one side for every run that held it."""
    cases: dict[str, list[tuple[int, Case]]] = {}
    for index, report in enumerate(reports):
        for case in report.cases:
            cases.setdefault(case.id, []).append((index, case))
    by_family: dict[str, list[Talk]] = {}
    for name, sides in cases.items():
        first = sides[0][1]
        about = ", ".join(p.replace("_", " ") for p in (first.subtype, first.voice) if p)
        talk = Talk(name, about, [_side(reports[i], i, c, sources[i]) for i, c in sides])
        by_family.setdefault(first.family.replace("_", " "), []).append(talk)
    return list(by_family.items())


def _side(report: Report, index: int, case: Case, source: str) -> Side:
    colour = COLOURS[index % len(COLOURS)]
    drawing = Markup("")
    if case.timeline is not None:
        drawing = charts.lanes(case.timeline, report.agent, colour)
    facts = [
        (labels.title(name), labels.number(case.metrics[name], unit))
        for name, unit in TOLD.items()
        if case.metrics.get(name) is not None and (unit == "ms" or case.metrics[name] > 0)
    ]
    src = f"{source}{case.folder}/audio.wav" if case.folder else ""
    return Side(report.agent, colour, drawing, facts, case.error, src)


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested metadata as (name, value) rows."""
    rows: list[tuple[str, str]] = []
    for key, inner in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        rows += _flat(inner, f"{name} / ") if isinstance(inner, dict) else [(name, str(inner))]
    return rows
