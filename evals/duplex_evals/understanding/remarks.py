"""Part ``remarks``: is what the agent answers to a spoken remark about the remark?

A reply to speech is on topic when it is at least as like the reply to the same remark in writing
as a threshold that comes from writing alone: of two written replies to different remarks, one pair
in twenty is that much alike. Beside it stands how many written replies to the same remark in other
words reach it, which is what a listener who missed nothing but the wording would get.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.terminal import Console
from duplex_evals.content.estimates import mean
from duplex_evals.content.spoken_qa import voice_of
from duplex_evals.conversation.scenario import Conditions
from duplex_evals.metrics.result import Result
from duplex_evals.speech.recogniser import word_errors
from duplex_evals.texts import read_rows
from duplex_evals.understanding.replies import bare_words, spoken_reply, written_reply
from duplex_evals.understanding.report import PartReport, Table, bar, shown
from duplex_evals.understanding.result_rows import ResultRows
from duplex_evals.understanding.sentence_embedding import embed
from duplex_evals.understanding.subject import Subject

TARGET: Final = 0.85
UNRELATED_PASS: Final = 0.05  # share of unrelated written replies that count as on topic

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """``threshold`` of the similarity; ``same``: similarities of replies to the same remark in
    other words [n]; ``unrelated``: those of replies to different remarks [n (n - 1) / 2].
    """

    threshold: float
    same: NDArray[np.float64]
    unrelated: NDArray[np.float64]

    def passing(self, alike: NDArray[np.floating]) -> Result:
        """Share of ``alike`` [n] that reach the threshold."""
        reached = [float(a >= self.threshold) for a in alike]
        return mean("passing", "likeness at or above the threshold", reached, "share")


def remarks() -> list[tuple[str, str]]:
    """Every remark with the same in other words."""
    return [(row["turns"][0], row["turns"][1]) for row in read_rows("everyday_remarks.yaml")]


def calibrate(replies: Vectors, again: Vectors) -> Calibration:
    """From unit vectors [n, d] of the replies to n remarks and to the same in other words."""
    alike = (replies @ replies.T).astype(np.float64)
    unrelated = alike[np.triu_indices(len(replies), k=1)]
    same = (replies * again).sum(axis=1).astype(np.float64)
    return Calibration(float(np.quantile(unrelated, 1 - UNRELATED_PASS)), same, unrelated)


def measure(subject: Subject, rows: ResultRows, limit: int | None) -> PartReport:
    """Calibrate on all remarks in writing, then listen. Raises ClipError, AssetError."""
    console = Console(stderr=True)
    everything = remarks()
    written, again = [], []
    for remark, other in track(everything, "remarks in writing", console=console):
        written.append(written_reply(subject, rows, remark)["reply"])
        again.append(written_reply(subject, rows, other)["reply"])
    vectors = embed(written)
    calibration = calibrate(vectors, embed(again))

    said = everything[:limit]
    spoken = [
        spoken_reply(subject, rows, remark, voice_of(n), Conditions(), seed=n)
        for n, (remark, _) in enumerate(track(said, "remarks aloud", console=console))
    ]
    bare = embed([written_reply(subject, rows, bare_words(remark))["reply"] for remark, _ in said])
    alike = (vectors[: len(said)] * embed([r["reply"] for r in spoken])).sum(axis=1)
    missed = [
        [said[n][0], voice_of(n), spoken[n]["heard"], written[n], spoken[n]["reply"],
         f"{alike[n]:.2f}"]
        for n in np.argsort(alike)
        if alike[n] < calibration.threshold
    ]  # fmt: skip
    on_topic = calibration.passing(alike)
    perfect = calibration.passing((vectors[: len(said)] * bare).sum(axis=1))
    counts = [word_errors(said[n][0], r["heard"]) for n, r in enumerate(spoken)]
    wrong = sum(c.errors for c in counts) / max(sum(c.words for c in counts), 1)
    lines = [
        ["replies to speech on topic", shown(on_topic), f">= {TARGET:.0%}"],
        ["word errors of the ear in them", f"{wrong:.1%}", ""],
        ["the same remarks written in lower case without marks", shown(perfect), ""],
        *_threshold_lines(calibration),
    ]
    columns = ["remark", "voice", "understood", "reply to writing", "reply to speech", "alike"]
    return PartReport(
        "remarks",
        f"{len(said)} everyday remarks: replies on topic",
        {
            "language model": subject.llm_mark,
            "ear": subject.ear_mark,
            "likeness": "cosine of all-MiniLM-L6-v2 embeddings of whole replies",
            "threshold": f"fixed on the replies to all {len(everything)} remarks in writing:"
            f" {1 - UNRELATED_PASS:.0%} of the pairs of different remarks are below it",
        },
        [Table("Replies on topic", ["result", "measured", "target"], lines)],
        [Table("Off topic", columns, missed)],
        bar("spoken remarks", on_topic, TARGET)
        + bar("written, lower case, no marks", perfect)
        + bar("written in other words", calibration.passing(calibration.same)),
    )


def _threshold_lines(calibration: Calibration) -> list[list[str]]:
    middle = f"{np.median(calibration.same):.2f} / {np.median(calibration.unrelated):.2f}"
    return [
        [
            "written replies to the same in other words that pass",
            shown(calibration.passing(calibration.same)),
            "",
        ],
        ["threshold of the likeness", f"{calibration.threshold:.3f}", ""],
        ["median likeness: same in other words / different remarks", middle, ""],
    ]
