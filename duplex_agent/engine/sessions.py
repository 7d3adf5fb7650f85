"""What a worker runs in its slots, and the factory that makes the real thing."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.duplex.events import Tick
from duplex_agent.spec import AgentSpec


class Session(Protocol):
    """One conversation: 80 ms in, 80 ms out."""

    def tick(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Tick:
        """Take float32 [1280] at 16 kHz, give [1920] at 24 kHz and the events of this tick.

        ``played_ms``: up to which time of the session the listener has heard the agent.
        """

    def close(self) -> None:
        """The conversation is over: nothing goes on for it anywhere."""


SessionFactory = Callable[[int], Session]
"""Seed -> a fresh conversation."""

DEFAULT_FACTORY = "duplex_agent.engine.sessions:load"


def load(spec: AgentSpec) -> SessionFactory:
    """Load the network once; every call of the result opens a conversation on it.

    Raises AssetError, CheckpointError, ThinkerError or LlmError when a part cannot be had.
    """
    from duplex_agent.engine.conversation import Conversation
    from duplex_agent.engine.executor import CpuExecutor
    from duplex_agent.engine.parts import load_parts, session_config

    parts, open_llm = load_parts(spec)
    executor = CpuExecutor(parts)
    config = session_config(spec)

    def open_session(seed: int) -> Session:
        return Conversation(parts, config, spec.seed + seed, open_llm=open_llm, executor=executor)

    # The first tick of a process builds kernels and touches every page, and reads the prompt that
    # every conversation begins with: not in a conversation.
    warm_up = open_session(0)
    for _ in range(3):
        warm_up.tick(np.zeros(USER_TICK_SAMPLES, dtype=np.float32))
    return open_session
