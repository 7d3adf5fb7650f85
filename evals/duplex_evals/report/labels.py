"""How results are named, grouped and written for people; the same in Markdown and HTML."""

from typing import Final

from duplex_evals.metrics.result import Result

# Chapters of a report: title, the beginnings of the names that belong to it. The first that fits.
CHAPTERS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Full-Duplex-Bench v1, its definitions", ("fdb_",)),
    ("tau-voice, its definitions", ("tau_",)),
    (
        "Answering",
        (
            "voice_to_voice",
            "missed_",
            "premature_",
            "false_start",
            "talk_over",
            "pause_takeover",
            "unprompted_",
        ),
    ),
    ("Being interrupted", ("barge_in", "yield_", "interruption_")),
    ("Ignoring what is not meant for it", ("false_", "spurious_", "selectivity")),
    ("Its own backchannels", ("backchannel",)),
    ("Flow of the conversation", ("ipu", "pause", "gap", "overlap", "fto", "floor_")),
    ("Compute", ("real_time", "compute", "deadline")),
)
OTHER: Final = "Further results"

LOWER_IS_BETTER: Final = (
    "voice_to_voice",
    "missed_",
    "premature_",
    "talk_over",
    "pause_takeover",
    "unprompted_",
    "barge_in_stop",
    "false_",
    "spurious_",
    "fdb_v1_pause_tor",
    "fdb_v1_turn_latency",
    "fdb_v1_interruption_latency",
    "fdb_v1_backchannel_tor",
    "tau_voice_l_",
    "tau_voice_i_",
    "real_time",
    "compute",
    "deadline",
)
HIGHER_IS_BETTER: Final = (
    "yield_",
    "selectivity",
    "fdb_v1_turn_tor",
    "fdb_v1_interruption_tor",
    "tau_voice_r_",
    "tau_voice_s_",
)
_UNITS: Final = {"share": "%", "per min": "/min", "per s": "/s"}


def chapter(name: str) -> str:
    """The chapter that a result belongs to."""
    for title, beginnings in CHAPTERS:
        if name.startswith(beginnings):
            return title
    return OTHER


def direction(name: str) -> int:
    """-1 where lower is better, 1 where higher is, 0 where neither is claimed."""
    if name.startswith(LOWER_IS_BETTER):
        return -1
    return int(name.startswith(HIGHER_IS_BETTER))


def title(name: str) -> str:
    """A result's name in words."""
    if name.startswith("tau_voice_") and len(name) <= len("tau_voice_s_bc"):
        return name.removeprefix("tau_voice_").upper()  # L_R, S_BC: its own symbols
    words = name.replace("_", " ")
    for old, new in (
        ("fdb v1 ", ""),
        ("tau voice ", ""),
        (" tor", " takeover rate"),
        ("jsd", "JSD"),
        ("ipu", "IPU"),
    ):
        words = words.replace(old, new)
    return words[:1].upper() + words[1:]


def number(value: float, unit: str) -> str:
    """A value with its unit: 93 %, 1,240 ms, 0.42."""
    if unit == "share":
        return f"{value * 100:.0f} %"
    if unit == "ms":
        return f"{value:,.0f} ms"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {_UNITS.get(unit, unit)}".strip()


def cell(result: Result | None) -> str:
    """What stands in a table for a result."""
    if result is None:
        return "–"
    return "N/A" if result.value is None else number(result.value, result.unit)


def interval(result: Result | None) -> str:
    """Its 95 % interval and count, "" where there is none."""
    if result is None or result.value is None:
        return result.note if result else ""
    count = f"n {result.n}"
    if result.low is None or result.high is None:
        return count
    scale = 100 if result.unit == "share" else 1
    return f"{_short(result.low * scale)}–{_short(result.high * scale)}, {count}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == 0 else f"{value:.2g}"


def better(a: Result, others: list[Result]) -> bool:
    """Whether ``a`` is better than every other: their 95 % intervals do not overlap."""
    sign = direction(a.name)
    if not sign or not others or a.low is None or a.high is None:
        return False
    worst = a.low if sign > 0 else a.high
    best = [o.high if sign > 0 else o.low for o in others]
    return all(b is not None and (worst - b) * sign > 0 for b in best)
