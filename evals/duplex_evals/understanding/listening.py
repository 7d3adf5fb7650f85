"""Sound through the ear, tick by tick, as a conversation would feed it: quiet, speech, quiet."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_agent.ear.hearing import Ear, HeardWord, follow
from duplex_evals.conversation.channel_conditions import ChannelConditions
from duplex_evals.conversation.scenario import Conditions

Audio = NDArray[np.float32]

LEAD_TICKS: Final = 5
TAIL_TICKS: Final = 25  # 2 s: every look-ahead and every revision of the search is over
_NO_AGENT: Final = np.zeros(AGENT_TICK_SAMPLES, np.float32)


@dataclass(frozen=True)
class Heard:
    """What the ear gave. ``delay_ms``: from the end of speech to the end of the tick with the last
    word, None when nothing was heard. ``compute_ms``: CPU time of the process in each tick,
    whatever threads its libraries keep. ``characters``: what the CTC head alone would
    say, "" for an ear without one.
    """

    words: list[HeardWord]
    delay_ms: float | None
    compute_ms: list[float]
    characters: str = ""

    @property
    def text(self) -> str:
        """The likeliest words."""
        return "".join(word.text for word in self.words).strip()


def arriving(speech: Audio, conditions: Conditions | None = None, seed: int = 0) -> Audio:
    """Ticks [n, 1280] of ``speech`` [n] at 16 kHz, trimmed, with quiet around it, under
    ``conditions``.

    Noise is there before and after the speech too. Raises ClipError for a noise that cannot be had.
    """
    tail = TAIL_TICKS * USER_TICK_SAMPLES + -len(speech) % USER_TICK_SAMPLES
    audio = np.pad(speech, (LEAD_TICKS * USER_TICK_SAMPLES, tail)).astype(np.float32)
    channel = ChannelConditions(conditions or Conditions(), [seed])
    ticks = audio.reshape(-1, USER_TICK_SAMPLES)
    return np.stack([channel.apply(tick, _NO_AGENT) for tick in ticks])


def hear(ear: Ear, speech: Audio, conditions: Conditions | None = None, seed: int = 0) -> Heard:
    """What ``ear`` makes of ``arriving`` sound. Raises ClipError."""
    state = ear.new_state()
    words: list[HeardWord] = []
    compute_ms, last_ms = [], None
    for number, tick in enumerate(arriving(speech, conditions, seed), start=1):
        began = time.process_time()
        found = ear.step(state, tick)
        compute_ms.append((time.process_time() - began) * 1000)
        follow(words, found)
        if found.words or found.revised:
            last_ms = number * TICK_MS
    end_ms = LEAD_TICKS * TICK_MS + len(speech) * 1000 / USER_RATE_HZ
    delay_ms = None if last_ms is None else last_ms - end_ms
    return Heard(words, delay_ms, compute_ms, getattr(state, "spelled", "").strip())
