"""Everything a session asks for in a tick; with `llm/requests.py` the whole list.

A tick is planned by a generator that yields these and is sent the results, so that whoever
executes them may answer one conversation at once or many in batches.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.vad import Vad
from duplex_agent.llm.requests import LlmRequest
from duplex_agent.voice.protocol import SpeechStream


@dataclass(frozen=True, slots=True)
class Detect:
    """Probability of speech in ``pcm`` [1280]. Gives a float."""

    vad: Vad
    pcm: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encode:
    """Hear a tick ``pcm`` [1280]. Gives a `Hearing`; ``state`` is the ear's.

    ``finalize``: the words given so far are being answered, none of them is revised any more.
    """

    state: Any
    pcm: NDArray[np.float32]
    finalize: bool = False


@dataclass(frozen=True, slots=True)
class Render:
    """The next 80 ms of a voice. Gives a `Spoken`."""

    stream: SpeechStream


Request = Detect | Encode | LlmRequest | Render
