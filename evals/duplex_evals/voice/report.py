"""The voice's results as tables, as one plot over the flow steps, and as JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from duplex_evals.errors import ResultError
from duplex_evals.voice.drift import Drift
from duplex_evals.voice.results import VoiceResults

_TARGETS: Final = (
    ("WER", "wer", "teacher + 2 points"),
    ("DNSMOS overall", "overall", ">= 3.0"),
    ("DNSMOS P.808", "p808", ">= 3.5"),
    ("speaker similarity to the teacher", "similarity", ">= 0.85"),
    ("flow evaluations per token", "evaluations", "<= 2"),
    ("real-time factor, one core, CPU time", "rtf", "<= 0.25"),
    ("the same, wall time", "rtf_wall", ""),
    ("ticks of silence before the voice, p95", "first_ticks", "<= 2"),
    ("time to first audio (CPU ms), p95", "first_ms", "<= 40"),
    ("the same ticks, a word written a tick", "streamed_ticks", ""),
)
_HEARD: Final = (
    ("WER", "wer"),
    ("words skipped, as heard", "skipped"),
    ("words repeated, as heard", "repeated"),
)
NOT_MEASURED: Final = "not measured"


def shown(name: str, value: float | None) -> str:
    """A result as people write it."""
    if value is None:
        return NOT_MEASURED
    if name.endswith("wer"):
        return f"{value:.1%}"
    return f"{value:.0f}" if isinstance(value, int) or name.endswith("ticks") else f"{value:.2f}"


def results_table(settings: dict[str, VoiceResults], teacher: VoiceResults | None) -> Table:
    """A column for every setting, a row for every result."""
    first = next(iter(settings.values()))
    table = Table(title=f"Voice: {first.sentences} held-out sentences, {first.words} words")
    table.add_column("result")
    for name in (*settings, "teacher", "target"):
        table.add_column(name, justify="right")
    for label, name, target in _TARGETS:
        values = [shown(name, getattr(f, name)) for f in settings.values()]
        of_teacher = "" if teacher is None else shown(name, getattr(teacher, name))
        known = name in ("wer", "overall", "p808", "similarity")
        table.add_row(label, *values, of_teacher if known else "", target)
    return table


def stress_table(
    agent: VoiceResults, teacher: VoiceResults | None, script: dict[str, list[str]]
) -> Table:
    """Skipped and repeated words, as heard and by the script."""
    table = Table(title=f"Stress list: {len(script)} items, {agent.words} words")
    for column in ("result", "agent", "teacher"):
        table.add_column(column, justify="left" if column == "result" else "right")
    for label, name in _HEARD:
        other = "" if teacher is None else shown(name, getattr(teacher, name))
        table.add_row(label, shown(name, getattr(agent, name)), other)
    faults = sum(len(f) for f in script.values())
    table.add_row("faults of the script (target 0)", str(faults), "")
    return table


def drift_line(drift: Drift) -> str:
    """One line on the long replies."""
    each = ", ".join(f"{first:.1%} and {last:.1%}" for first, last in drift.pairs)
    return (
        f"replies of {drift.seconds:.0f} s: WER of the same minute's text (together"
        f" {drift.words} words) {drift.first_wer:.1%} at the beginning, {drift.last_wer:.1%} at the"
        f" end (target: at most 3 points more); each: {each}"
    )


def write_report(out: Path, report: dict[str, Any]) -> Path:
    """``voice.json`` in ``out``; dataclasses become objects. Raises ResultError."""
    target = out / "voice.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(report, indent=1, default=asdict), "utf-8")
    except OSError as error:
        raise ResultError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def plot_steps(out: Path, by_steps: dict[int, VoiceResults], teacher: VoiceResults | None) -> Path:
    """WER, DNSMOS and cost over the steps of the flow, as ``steps.png`` in ``out``."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = ("wer", "word error rate"), ("overall", "DNSMOS overall"), ("rtf", "real-time factor")
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 3.2), layout="constrained")
    for axis, (name, label) in zip(axes, panels, strict=True):
        points = [(s, v) for s, f in by_steps.items() if (v := getattr(f, name)) is not None]
        axis.plot([x for x, _ in points], [y for _, y in points], marker="o")
        of_teacher = None if teacher is None else getattr(teacher, name)
        if of_teacher is not None:
            axis.axhline(of_teacher, linestyle="--", color="grey", label="teacher")
            axis.legend()
        top = 1.1 * max([*(y for _, y in points), of_teacher or 0.0]) or None
        axis.set(xscale="log", xlabel="flow evaluations per token", title=label, ylim=(0, top))
        axis.set_xticks(list(by_steps), [str(s) for s in by_steps])
        axis.minorticks_off()
    target = out / "steps.png"
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)
    plt.close(figure)
    return target
