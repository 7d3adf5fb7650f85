"""Drawings of the HTML page as inline SVG: latency histograms and two-channel timelines."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from duplex_evals.report.document import Mark, Timeline

WIDTH: Final = 1000
GUTTER: Final = 58  # for the names of the lanes
LANE: Final = 17  # half the height of a lane
CHARACTER: Final = 5.7  # width of one at the words' size
BINS: Final = 40
QUIET: Final = 2.0  # half a stroke's height below which nothing is drawn


def histogram(samples: Sequence[tuple[str, list[float]]], colours: Sequence[str]) -> Markup:
    """One row for each run's (name, latencies in ms) on a common axis; the median is marked."""
    kept = [(name, [v for v in values if np.isfinite(v)]) for name, values in samples]
    everything = [v for _, values in kept for v in values]
    if not everything:
        return Markup("")
    low = min(0.0, float(np.percentile(everything, 1)))
    high = max(float(np.percentile(everything, 99)) * 1.05, low + 400)
    step = _tick(high - low, 8)
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    edges = np.linspace(low, high, BINS + 1)
    row, scale = 74, 760 / (high - low)
    parts = []
    for index, (name, values) in enumerate(kept):
        base = row * (index + 1) - 14
        parts.append(
            f'<text class="name" x="0" y="{base - 22}">{escape(name)}</text>'
            f'<text class="small" x="0" y="{base - 8}">n {len(values)}</text>'
        )
        if not values:
            continue
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        tall = 40 / max(counts.max(), 1)
        bars = "".join(
            f"M{190 + (edges[i] - low) * scale:.1f} {base}v{-count * tall:.1f}"
            f"h{760 / BINS - 1.5:.1f}V{base}z"
            for i, count in enumerate(counts)
            if count
        )
        middle = float(np.percentile(values, 50, method="inverted_cdf"))  # as in the results
        x = 190 + (min(middle, high) - low) * scale
        parts.append(
            f'<path d="{bars}" fill="{colours[index]}" opacity=".8"/>'
            f'<path class="axis" d="M190 {base}h760"/>'
            f'<path d="M{x:.1f} {base}v-54" stroke="{colours[index]}" stroke-width="2"/>'
            f'<text class="small" x="{x + 5:.1f}" y="{base - 45}">{middle:,.0f} ms</text>'
        )
    height = row * len(kept) + 22
    for value in np.arange(low, high + step / 2, step):
        x = 190 + (value - low) * scale
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}">{value:,.0f}</text>')
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" class="histogram" role="img">{"".join(parts)}</svg>'
    )


def lanes(drawn: Timeline, agent: str, colour: str) -> Markup:
    """A conversation: what the user's channel holds above, the agent's below, words under each."""
    steps = max(len(drawn.user_levels), len(drawn.agent_levels), 1)
    length_ms = steps * drawn.step_ms
    scale = (WIDTH - GUTTER) / length_ms

    def x(ms: float) -> float:
        return GUTTER + min(max(ms, 0.0), length_ms) * scale

    user, agent_lane, height = 30, 92, 132
    short = escape(agent.partition("-")[0][:9])
    parts = [
        f'<text class="lane" x="0" y="{user + 4}">user</text>',
        f'<text class="lane" x="0" y="{agent_lane + 4}">{short}</text>',
    ]
    for second in np.arange(0, length_ms / 1000, _tick(length_ms / 1000, 10)):
        at = x(float(second) * 1000)
        parts.append(
            f'<path class="grid" d="M{at:.1f} 10V{height - 14}"/>'
            f'<text class="tick" x="{at:.1f}" y="{height - 2}">{second:g} s</text>'
        )
    for mark in drawn.placed:
        left, wide = x(mark.start_ms), max(x(mark.end_ms) - x(mark.start_ms), 2.0)
        label = f"{mark.kind.replace('_', ' ')}: {mark.text}" if mark.text else mark.kind
        parts.append(
            f'<rect class="placed {escape(mark.kind)}" x="{left:.1f}" y="{user - LANE}"'
            f' width="{wide:.1f}" height="{2 * LANE}" rx="3"><title>{escape(label)}'
            f" ({mark.start_ms / 1000:.2f}–{mark.end_ms / 1000:.2f} s)</title></rect>"
        )
    parts.append(_text_row(_once(drawn.placed), x, 9, "truth"))
    parts.append(_bars(drawn.user_levels, user, drawn.step_ms * scale, "#4c6ef5"))
    parts.append(_text_row(drawn.understood, x, user + LANE + 12, "word"))
    for mark in drawn.segments:
        wide = max(x(mark.end_ms) - x(mark.start_ms), 1.5)
        parts.append(
            f'<rect x="{x(mark.start_ms):.1f}" y="{agent_lane + LANE - 1}" width="{wide:.1f}"'
            f' height="2.5" fill="{colour}"/>'
        )
    parts.append(_bars(drawn.agent_levels, agent_lane, drawn.step_ms * scale, colour))
    parts.append(_text_row(drawn.said, x, agent_lane + LANE + 11, "word"))
    for mark in drawn.events:
        at = x(mark.start_ms)
        parts.append(
            f'<path class="event" d="M{at:.1f} 12V{agent_lane + LANE}"/>'
            f'<path class="flag" d="M{at - 3.5:.1f} 10h7l-3.5 6z"><title>'
            f"{escape(mark.kind)} at {mark.start_ms / 1000:.2f} s {escape(mark.text)}"
            "</title></path>"
        )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" class="lanes" role="img">{"".join(parts)}</svg>'
    )


def _bars(levels: list[int], middle: float, step: float, colour: str) -> str:
    """Loudness as one path of upright strokes."""
    strokes = "".join(
        f"M{GUTTER + (i + 0.5) * step:.1f} {middle - tall:.1f}v{2 * tall:.1f}"
        for i, tall in enumerate(level * LANE / 99 for level in levels)
        if tall > QUIET
    )
    return f'<path d="{strokes}" stroke="{colour}" stroke-width="{step * 0.75:.2f}"/>'


def _once(placed: list[Mark]) -> list[Mark]:
    """One label for an item of several stretches."""
    kept: list[Mark] = []
    for mark in placed:
        if not kept or (kept[-1].kind, kept[-1].text) != (mark.kind, mark.text):
            kept.append(mark)
    return kept


def _text_row(marks: list[Mark], x: Callable[[float], float], y: float, style: str) -> str:
    """Words at their times; one that would run into the last is moved behind it."""
    free = 0.0
    parts = []
    for mark in marks:
        text = mark.text.strip() or mark.kind
        at = max(x(mark.start_ms), free)
        room = int((WIDTH - at) / CHARACTER)
        if room < 2:
            break
        text = text if len(text) <= room else text[: room - 1] + "…"
        free = at + (len(text) + 0.8) * CHARACTER
        parts.append(f'<text class="{style}" x="{at:.1f}" y="{y}">{escape(text)}</text>')
    return "".join(parts)


def _tick(length: float, most: int) -> float:
    """A round step that cuts ``length`` into at most ``most`` pieces."""
    rough = length / most
    size = float(10 ** np.floor(np.log10(rough)))
    return next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
