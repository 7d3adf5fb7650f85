"""The whole network of the agent: an ear, a thinker and a voice, each with its state outside.

The protocols say what a conversation needs of the parts; the trained ones are loaded by ``load``.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.model.hearing import DEFAULT_LOOK_AHEAD, DEFAULT_TOKENS, Hearing, TokenKind
from duplex_agent.model.thinker import Thinker

WARM_UP_TICKS = 6


class Ear(Protocol):
    """Sound to words in continuous tokens, ``look_ahead_ticks`` and more after they were said."""

    @property
    def look_ahead_ticks(self) -> int: ...

    def new_state(self) -> Any: ...

    def step(self, state: Any, pcm: NDArray[np.float32]) -> Hearing:
        """Take a tick [1280], give the words that are certain now and were not before."""
        ...

    def commit(self, state: Any) -> None:
        """What was given out is being answered: none of it can be taken back any more."""
        ...


class Spoken(Protocol):
    """One tick of the voice."""

    @property
    def pcm(self) -> NDArray[np.float32]:
        """[1920] at 24 kHz."""
        ...

    @property
    def chars_spoken(self) -> int:
        """Characters of the written text that are fully voiced by the end of this tick."""
        ...

    @property
    def done(self) -> bool:
        """Nothing is left to say; this tick was the last."""
        ...


class SpeechStream(Protocol):
    """One utterance being spoken while its text still arrives."""

    def write(self, text: str, hidden: NDArray[np.float32] | None = None) -> None: ...

    @property
    def left_out(self) -> list[str]:
        """Written words passed over so far, because nothing of them can be said."""
        ...

    def finish(self) -> None: ...

    def tick(self) -> Spoken: ...

    def stop(self) -> None: ...


class Voice(Protocol):
    """Text to sound."""

    def start(self, seed: int = 0) -> SpeechStream: ...


@dataclass(frozen=True)
class EarAndVoice:
    """The network without its thinker, for a conversation whose mind is elsewhere."""

    ear: Ear
    voice: Voice


@dataclass(frozen=True)
class FlowOmni:
    """Ear, thinker and voice. Holds no conversation: any number may run on one of these."""

    ear: Ear
    thinker: Thinker
    voice: Voice


def load(
    look_ahead_ticks: int = DEFAULT_LOOK_AHEAD,
    tokens: TokenKind = DEFAULT_TOKENS,
) -> FlowOmni:
    """The trained parts, from the package and the asset cache.

    ``look_ahead_ticks``: how far the ear hears ahead, 1, 2 or 4. ``tokens``: what it tells the
    thinker.
    Raises AssetError, CheckpointError or ThinkerError when a part cannot be had.
    """
    from duplex_agent.model.ear_file import load_ear
    from duplex_agent.model.thinker import shipped_thinker
    from duplex_agent.model.voice import load_voice

    ear = load_ear(look_ahead_ticks=look_ahead_ticks, tokens=tokens)
    model = FlowOmni(ear, shipped_thinker(), load_voice())
    warm_up(model)
    return model


def load_ear_and_voice(look_ahead_ticks: int = DEFAULT_LOOK_AHEAD) -> EarAndVoice:
    """The trained parts without the language model, of which the ear needs the vocabulary.

    Raises AssetError or CheckpointError when a part cannot be had.
    """
    from duplex_agent.model.ear_file import load_ear
    from duplex_agent.model.voice import load_voice

    model = EarAndVoice(load_ear(look_ahead_ticks=look_ahead_ticks), load_voice())
    warm_up(model)
    return model


def warm_up(model: FlowOmni | EarAndVoice) -> None:
    """Run every part for a moment: the first pass of a process is several ticks slow."""
    ear_state = model.ear.new_state()
    stream = model.voice.start()
    stream.write("Good morning to you.")
    stream.finish()
    for _ in range(WARM_UP_TICKS):
        model.ear.step(ear_state, np.zeros(USER_TICK_SAMPLES, dtype=np.float32))
        stream.tick()
    if isinstance(model, FlowOmni):
        state = model.thinker.new_state()
        for _ in range(WARM_UP_TICKS):
            model.thinker.append(state, model.thinker.embed([1, 2]))
