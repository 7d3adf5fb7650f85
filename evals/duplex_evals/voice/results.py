"""Rows of a voice -> means, rates and percentiles of one voice at one setting."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duplex_evals.speech.speaker import similarity
from duplex_evals.voice.rows import Row, teacher_centre


@dataclass(frozen=True)
class VoiceResults:
    """Means over the rows of one voice at one setting; None where nothing could be measured.

    ``wer`` is a corpus rate. ``rtf``: CPU time per second of sound. ``first_ticks`` and
    ``first_ms``: ticks of silence before the voice, and CPU time up to its first tick, the
    worst row of twenty (95th percentile); ``streamed_ticks`` likewise with a word written a tick.
    """

    sentences: int
    words: int
    wer: float
    overall: float | None
    p808: float | None
    similarity: float | None
    skipped: int
    repeated: int
    evaluations: int
    rtf: float | None
    rtf_wall: float | None
    first_ticks: float | None
    first_ms: float | None
    streamed_ticks: float | None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _high(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.percentile(known, 95)) if known else None


def voice_results(
    rows: Sequence[Row], teacher: Sequence[Row], evaluations: int = 0
) -> VoiceResults:
    """Results of ``rows``; ``teacher`` rows give the voice to compare with, ``evaluations`` is how
    often the flow head runs per token (0 for the teacher, whose cost is not measured).
    """
    centre = teacher_centre(list(teacher))
    alike = [
        similarity(np.asarray(r.voice, np.float32), centre)
        for r in rows
        if r.voice is not None and centre is not None
    ]
    words, seconds = sum(r.words for r in rows), sum(r.seconds for r in rows)
    own = evaluations > 0 and seconds > 0
    return VoiceResults(
        sentences=len(rows),
        words=words,
        wer=sum(r.errors for r in rows) / max(words, 1),
        overall=_mean([r.overall for r in rows]),
        p808=_mean([r.p808 for r in rows]),
        similarity=_mean(alike),
        skipped=sum(len(r.skipped) for r in rows),
        repeated=sum(len(r.repeated) for r in rows),
        evaluations=evaluations,
        rtf=sum(r.cpu_s for r in rows) / seconds if own else None,
        rtf_wall=sum(r.wall_s for r in rows) / seconds if own else None,
        first_ticks=_high([r.first_tick for r in rows]) if own else None,
        first_ms=_high([r.first_ms for r in rows]) if own else None,
        streamed_ticks=_high([r.ticks_streamed for r in rows]) if own else None,
    )
