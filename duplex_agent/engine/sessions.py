"""What a worker runs in its slots, and the factory that makes the real thing."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.events import Tick


class Session(Protocol):
    """One conversation: 80 ms in, 80 ms out."""

    def tick(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Tick:
        """Take float32 [1280] at 16 kHz, give [1920] at 24 kHz and the events of this tick.

        ``played_ms``: up to which time of the session the listener has heard the agent.
        """


SessionFactory = Callable[[int], Session]
"""Seed -> a fresh conversation."""

DEFAULT_FACTORY = "duplex_agent.engine.sessions:load"


def load() -> SessionFactory:
    """Load the network once; every call of the result opens a conversation on it.

    Raises AssetError or CheckpointError when a part of the network is missing.
    """
    import torch

    from duplex_agent.duplex.config import SessionConfig
    from duplex_agent.duplex.session import DuplexSession
    from duplex_agent.model import flow_omni

    torch.set_num_threads(1)
    model = flow_omni.load()

    def open_session(seed: int) -> Session:
        return DuplexSession(model, SessionConfig(), seed=seed)

    # The first tick of a process builds kernels and touches every page: not in a conversation.
    warm_up = open_session(0)
    for _ in range(3):
        warm_up.tick(np.zeros(1280, dtype=np.float32))
    return open_session
