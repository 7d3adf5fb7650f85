"""What a run leaves behind: both channels, what was placed, what the agent reported.

The one format that every runner writes and every metric reads. A record is a folder::

    record.json   everything but the sound (``VERSION`` is its schema)
    audio.wav     stereo, 24 kHz, 16 bit: left the user, right the agent as a live listener hears it
    labels.txt    Audacity label track of what was placed
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, USER_RATE_HZ
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import ResultError

VERSION: Final = 1
Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """An item on the user's channel. ``spans_ms``: its stretches of speech, exact, in order.

    ``start_ms`` and ``end_ms`` are None when its anchor never came.
    """

    item: str
    kind: str
    expect: str
    text: str
    spans_ms: list[tuple[float, float]]

    @property
    def start_ms(self) -> float | None:
        return self.spans_ms[0][0] if self.spans_ms else None

    @property
    def end_ms(self) -> float | None:
        return self.spans_ms[-1][1] if self.spans_ms else None


@dataclass
class Record:
    """One conversation. ``user`` float32 [n] at 16 kHz, ``agent`` float32 [m] at 24 kHz.

    Both start at time zero. ``agent_text`` is what the agent says it said, ``heard_text`` what it
    says it understood, both "" when the target does not tell; ``events`` are its JSON events in
    session time. ``offset_ms`` is what calibration took off the agent's channel (WebRTC).
    """

    scenario: Scenario
    agent_name: str
    seed: int
    user: Audio
    agent: Audio
    placed: list[Placed]
    events: list[dict[str, Any]] = field(default_factory=list)
    compute_ms: list[float] = field(default_factory=list)
    transport: str = "offline"
    offset_ms: float = 0.0
    late_packets: int = 0
    wall_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return len(self.user) / USER_RATE_HZ

    @property
    def agent_text(self) -> str:
        return "".join(e.get("text", "") for e in self.events if e["type"] == "reply.text.delta")

    @property
    def heard_text(self) -> str:
        ended = [e.get("text", "") for e in self.events if e["type"] == "user.turn_ended"]
        return " ".join(text for text in ended if text)


def save_record(record: Record, folder: Path) -> None:
    """Write ``record`` into ``folder``; ``record.json`` last, so a folder with it is whole.

    Raises ResultError when the disk is full or the folder cannot be written.
    """
    left = np.asarray(soxr.resample(record.user, USER_RATE_HZ, AGENT_RATE_HZ), np.float32)
    length = max(len(left), len(record.agent))
    stereo = np.zeros((length, 2), np.float32)
    stereo[: len(left), 0] = left
    stereo[: len(record.agent), 1] = record.agent
    meta: dict[str, Any] = {
        "version": VERSION,
        "scenario": record.scenario.model_dump(mode="json", exclude_defaults=True),
        "agent_name": record.agent_name,
        "seed": record.seed,
        "user_samples": len(record.user),
        "agent_samples": len(record.agent),
        "placed": [asdict(p) for p in record.placed],
        "events": record.events,
        "compute_ms": record.compute_ms,
        "transport": record.transport,
        "offset_ms": record.offset_ms,
        "late_packets": record.late_packets,
        "wall_s": record.wall_s,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "audio.wav", np.clip(stereo, -1, 1), AGENT_RATE_HZ, "PCM_16")
        (folder / "labels.txt").write_text(_labels(record.placed), "utf-8")
        partial = folder / "record.part"
        partial.write_text(json.dumps(meta), "utf-8")
        partial.replace(folder / "record.json")
    except (OSError, soundfile.LibsndfileError) as error:
        raise ResultError(f"cannot store {folder}: {error}") from error


def load_record(folder: Path) -> Record:
    """Read what ``save_record`` wrote (sound at 16 bits). Raises ResultError."""
    try:
        meta = json.loads((folder / "record.json").read_text("utf-8"))
        stereo, _ = soundfile.read(folder / "audio.wav", dtype="float32")
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        raise ResultError(f"cannot read {folder}: {error}") from error
    if meta.pop("version", None) != VERSION:
        raise ResultError(f"{folder} is of another version; delete it and run again")
    user = np.asarray(soxr.resample(stereo[:, 0], AGENT_RATE_HZ, USER_RATE_HZ), np.float32)
    spans = meta.pop("placed")
    placed = [Placed(**{**p, "spans_ms": [(a, b) for a, b in p["spans_ms"]]}) for p in spans]
    return Record(
        scenario=Scenario.model_validate(meta.pop("scenario")),
        user=user[: meta.pop("user_samples")],
        agent=stereo[: meta.pop("agent_samples"), 1],
        placed=placed,
        **meta,
    )


def _labels(placed: list[Placed]) -> str:
    rows = [
        f"{start / 1000:.4f}\t{end / 1000:.4f}\t{p.kind}: {p.text}"
        for p in placed
        for start, end in p.spans_ms
    ]
    return "".join(row + "\n" for row in rows)
