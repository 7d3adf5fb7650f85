"""What the adapter learns to read: the frozen ear's features of rows of user speech, made once.

The rows are the ear's own (several utterances, microphones, rooms, one in twenty without speech),
with their words as written. Features are kept in half precision under the work folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.encoder_config import BLANK, FEATURES_PER_TICK
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD, LOOK_AHEADS
from duplex_agent.ear.load import WEIGHTS
from duplex_agent.ear.reference.encoder import EarEncoder
from duplex_agent.ear.reference.encoder_file import load_encoder
from duplex_agent.errors import TrainingError
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.train.data.text import held_out, normalise
from duplex_agent.train.data.user_speech import read_corpus
from duplex_agent.train.data.user_text import heard_form
from duplex_agent.train.ear.rows import RowMaker, Said

MIXTURE: Final = {"kokoro": 0.35, "piper": 0.15, "flite": 0.3, "espeak": 0.2}
_AT_ONCE: Final = 8
_SHARD_ROWS: Final = 96
_LOOK_AHEADS_IN_TURN: Final = (*LOOK_AHEADS, DEFAULT_LOOK_AHEAD)
# As a conversation hears it: before the first character, and after the last one of a turn.
LEAD_TICKS: Final = 5
TRAIL_TICKS: Final = 3


@dataclass(frozen=True)
class HeardRow:
    """One stretch of time: ``features`` float16 [ticks, 4, width], ``log_probs`` float16 of CTC
    characters [ticks, 4, characters], and what is said in it as written, one string per utterance.
    """

    features: NDArray[np.float16]
    log_probs: NDArray[np.float16]
    said: tuple[str, ...]

    @property
    def span(self) -> slice:
        """Ticks of the speech with a little before and behind; all of them if there is none."""
        spelled = np.flatnonzero((self.log_probs.argmax(-1) != BLANK).any(1))
        if not len(spelled):
            return slice(0, len(self.log_probs))
        return slice(max(0, int(spelled[0]) - LEAD_TICKS), int(spelled[-1]) + TRAIL_TICKS + 1)


def written_corpus(folder: Path) -> list[Said]:
    """All utterances with their words as written, evaluation sentences left out."""
    forbidden = held_out()
    return [
        Said(u.text, u.engine, u.pcm)
        for u in read_corpus(folder)
        if heard_form(u.text) and normalise(u.text) not in forbidden
    ]


def shipped_encoder() -> EarEncoder:
    """The ear's frozen encoder. Raises CheckpointError."""
    return load_encoder(WEIGHTS, DEFAULT_LOOK_AHEAD).requires_grad_(False)


def make_features(folder: Path, speech: Path, rows: int, row_ticks: int, seed: int) -> None:
    """Let the ear hear ``rows`` rows of the corpus in ``speech``; shards that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, rows, _SHARD_ROWS)
    missing = [s for s in starts if not _shard(folder, s).exists()]
    if not missing:
        return
    maker = RowMaker(written_corpus(speech), row_ticks * USER_TICK_SAMPLES, MIXTURE)
    encoder = shipped_encoder()
    for start in track(missing, "features of the ear"):
        rng = np.random.default_rng((seed, start))
        _make_shard(
            _shard(folder, start), encoder, maker, min(_SHARD_ROWS, rows - start), row_ticks, rng
        )


def _shard(folder: Path, start: int) -> Path:
    return folder / f"rows-{start:06d}.npz"


@torch.inference_mode()
def _make_shard(
    target: Path,
    encoder: EarEncoder,
    maker: RowMaker,
    rows: int,
    row_ticks: int,
    rng: np.random.Generator,
) -> None:
    features, log_probs, said = [], [], []
    # No wrap inside a row: the streaming ear begins again at 0 before it comes to that.
    last = encoder.config.positions - row_ticks * FEATURES_PER_TICK
    for number, start in enumerate(range(0, rows, _AT_ONCE)):
        drawn = [maker.row(rng) for _ in range(min(_AT_ONCE, rows - start))]
        encoder.look_ahead_ticks = _LOOK_AHEADS_IN_TURN[number % len(_LOOK_AHEADS_IN_TURN)]
        offset = rng.integers(0, last, len(drawn)) * (rng.random(len(drawn)) < 0.5)
        heard = torch.from_numpy(np.stack([row.heard for row in drawn]))
        out = encoder(heard, torch.from_numpy(offset))
        features.append(out.unflatten(1, (row_ticks, FEATURES_PER_TICK)).half().numpy())
        spelled = encoder.logits(out).clamp_min(-20.0)
        log_probs.append(spelled.unflatten(1, (row_ticks, FEATURES_PER_TICK)).half().numpy())
        said += [row.said for row in drawn]
    store_arrays(
        target,
        features=np.concatenate(features),
        letters=np.concatenate(log_probs),  # existing files call them so
        said=np.frombuffer(json.dumps(said).encode(), np.uint8),
    )


def load_features(folder: Path) -> list[HeardRow]:
    """Every row of ``folder`` in a fixed order. Raises TrainingError when there is none."""
    rows: list[HeardRow] = []
    for shard in sorted(folder.glob("rows-*.npz")):
        with np.load(shard) as arrays:
            said = json.loads(arrays["said"].tobytes())
            triples = zip(arrays["features"], arrays["letters"], said, strict=True)
            rows += [HeardRow(heard, spelled, tuple(s)) for heard, spelled, s in triples]
    if not rows:
        raise TrainingError(f"no features of the ear in {folder}")
    return rows
