"""The same LLM asked in writing: the text side of the speech-text gap.

Everything of a conversation stays as it is (the thinker, its prompt and examples, the sampler, the
limits of a reply) but the ear and the voice: the ear passes on the tokens of the written words,
one a tick, and the voice makes no sound worth hearing. What is left between this and a spoken
conversation is what hearing costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, USER_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.parts import FlowOmni
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.engine.conversation import Conversation
from duplex_agent.llm.thinker import Thinker
from duplex_evals.errors import TargetError

_LEAD_TICKS: Final = 2
_LONGEST_TICKS: Final = 250  # 20 s: no reply of the session's length limit takes longer
_INAUDIBLE: Final = 1e-4  # a voice that gives plain zeros would count as one that never began


class _TextEar:
    """Gives the words of ``script`` one a tick, then nothing."""

    look_ahead_ticks = 0

    def __init__(self, thinker: Thinker) -> None:
        self._thinker = thinker
        self._tick = -1
        self.script: list[HeardWord] = []

    def write(self, text: str) -> None:
        tokenizer = self._thinker.tokenizer
        ids = tokenizer.encode(text)
        rows = self._thinker.embed(ids)
        now = self._tick + 1
        self.script = [
            HeardWord(rows[i : i + 1], tokenizer.decode([id_]), now + i, now + i)
            for i, id_ in enumerate(ids)
        ]

    def new_state(self) -> Any:
        return None

    def step(self, state: Any, pcm: NDArray[np.float32]) -> Hearing:
        self._tick += 1
        return Hearing((self.script.pop(0),)) if self.script else Hearing()

    def finalize(self, state: Any) -> None:
        """What is written is never misread."""


class _OpenEyes:
    """A voice detector that says whether anything is left to read."""

    def __init__(self, ear: _TextEar) -> None:
        self._ear = ear

    def step(self, pcm: NDArray[np.float32]) -> float:
        return 1.0 if self._ear.script else 0.0

    def reset(self) -> None: ...

    def clone(self) -> "_OpenEyes":
        return _OpenEyes(self._ear)


@dataclass(frozen=True)
class _Shown:
    pcm: NDArray[np.float32]
    chars_spoken: int
    done: bool


class _Page:
    """A speech stream that shows its text at once."""

    def __init__(self) -> None:
        self.left_out: list[str] = []
        self._characters = 0
        self._finished = False

    def write(self, text: str, hidden: NDArray[np.float32] | None = None) -> None:
        self._characters += len(text)

    def finish(self) -> None:
        self._finished = True

    def stop(self) -> None:
        self._finished = True

    def tick(self) -> _Shown:
        level = _INAUDIBLE if self._characters else 0.0
        pcm = np.full(AGENT_TICK_SAMPLES, level, np.float32)
        return _Shown(pcm, self._characters, self._finished)


class _Pen:
    def start(self, seed: int = 0) -> _Page:
        return _Page()


def written_replies(
    thinker: Thinker, turns: Sequence[str], instructions: str = "", seed: int = 0
) -> list[str]:
    """What the agent answers when ``turns`` are written to it one after another.

    One reply per turn, "" where it gives none; ``instructions`` stand in for the system prompt.
    Raises TargetError when a reply does not end.
    """
    ear = _TextEar(thinker)
    config = SessionConfig()
    if instructions:
        config = replace(config, llm=replace(config.llm, system_prompt=instructions))
    # A written turn has no pauses inside, and a single word is a turn.
    floor = replace(config.floor, start_ms=80, min_turn_ms=80, end_silence_ms=80)
    session = Conversation(
        FlowOmni(ear, thinker, _Pen()),
        replace(config, floor=floor),
        seed,
        vad=_OpenEyes(ear),
    )
    return [_ask(session, ear, turn) for turn in turns]


def _ask(session: Conversation, ear: _TextEar, turn: str) -> str:
    silence = np.zeros(USER_TICK_SAMPLES, np.float32)
    for _ in range(_LEAD_TICKS):
        session.tick(silence)
    ear.write(turn)
    reply, replying = "", False
    for _ in range(_LONGEST_TICKS):
        for event in session.tick(silence).events:
            if event.type == "reply.text.delta":
                reply += event.data["text"]
            elif event.type == "floor.changed":
                if replying and event.data["floor"] == "listening":
                    return reply.strip()
                replying = event.data["floor"] == "replying"
    raise TargetError(f"no end of the written reply to {turn!r}")
