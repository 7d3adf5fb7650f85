"""When each character was spoken: the likeliest CTC path through a known text."""

import numpy as np
from numpy.typing import NDArray

from duplex_agent.model.ear import BLANK


def align(spelled: NDArray[np.float32], targets: list[list[int]]) -> list[list[int]]:
    """First frame of every target character, by Viterbi over the CTC lattice.

    ``spelled`` are log-probabilities [B, T, characters]. A row whose text does not fit into its
    frames, or that has none, gives an empty list.
    """
    batch, frames, _ = spelled.shape
    longest = max((len(t) for t in targets), default=0)
    states = 2 * longest + 1
    symbols = np.full((batch, states), BLANK)
    for row, target in enumerate(targets):
        symbols[row, 1 : 2 * len(target) : 2] = target
    everywhere = np.broadcast_to(symbols[:, None], (batch, frames, states))
    emit = np.take_along_axis(spelled, everywhere, 2)
    may_skip = np.zeros((batch, states), bool)
    may_skip[:, 2:] = (symbols[:, 2:] != BLANK) & (symbols[:, 2:] != symbols[:, :-2])
    score = np.full((batch, states), -np.inf)
    score[:, :2] = emit[:, 0, :2]
    came = np.zeros((frames, batch, states), np.int8)
    for t in range(1, frames):
        one = np.pad(score, ((0, 0), (1, 0)), constant_values=-np.inf)[:, :-1]
        two = np.pad(score, ((0, 0), (2, 0)), constant_values=-np.inf)[:, :-2]
        ways = np.stack([score, one, np.where(may_skip, two, -np.inf)])
        came[t] = ways.argmax(0)
        score = ways.max(0) + emit[:, t]
    return [_walk_back(came[:, row], score[row], len(t)) for row, t in enumerate(targets)]


def _walk_back(came: NDArray[np.int8], score: NDArray[np.float64], length: int) -> list[int]:
    state = 2 * length
    if length == 0 or not np.isfinite(score[state - 1 : state + 1]).any():
        return []
    if score[state - 1] > score[state]:
        state -= 1
    first = [0] * length
    for t in range(len(came) - 1, -1, -1):
        if state % 2:
            first[state // 2] = t
        state -= int(came[t, state])
    return first
