"""Phones with durations laid on the tick clock as 20 ms slots."""

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS
from duplex_agent.voice.config import SLOTS_PER_TICK
from duplex_agent.voice.phones import PHONE_ID, PHONES

SLOT_S = TICK_MS / 1000 / SLOTS_PER_TICK
_REST = PHONE_ID["$"]


def phone_occupancy(
    phones: NDArray[np.int64], ends_s: NDArray[np.float64], first: int, count: int
) -> NDArray[np.float32]:
    """Share of every phone in slots ``first .. first + count``, [count, phones].

    ``ends_s`` [n] are the phones' end times; time outside them counts as rest. Shares, rather than
    the phone at the slot's middle, so that no short phone is lost.
    """
    occupancy = np.zeros((count, len(PHONES)), np.float32)
    edges = (first + np.arange(count + 1)) * SLOT_S
    starts_s = np.concatenate([[0.0], ends_s[:-1]]) if len(ends_s) else ends_s
    low = int(np.searchsorted(ends_s, edges[0], side="right"))
    high = int(np.searchsorted(starts_s, edges[-1], side="left"))
    for index in range(low, high):
        overlap = np.minimum(edges[1:], ends_s[index]) - np.maximum(edges[:-1], starts_s[index])
        occupancy[:, phones[index]] += np.maximum(overlap, 0.0) / SLOT_S
    occupancy[:, _REST] += np.maximum(1.0 - occupancy.sum(axis=1), 0.0)
    return occupancy
