"""What a worker runs in its slots, and the factory that makes the real thing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.duplex.session import DuplexSession, Steps
from duplex_agent.duplex.snapshot import Snapshot
from duplex_agent.engine.run import Executor, run_one
from duplex_agent.llm.protocol import Role
from duplex_agent.spec import AgentSpec


class Session(Protocol):
    """One conversation: 80 ms in, 80 ms out, and what a client may do between two ticks.

    `DuplexSession` says what each of these does and raises.
    """

    @property
    def now_ms(self) -> int: ...

    def steps(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Steps:
        """A tick: float32 [1280] at 16 kHz in, [1920] at 24 kHz and the events of this tick out.

        ``played_ms``: up to which time of the session the listener has heard the agent.
        """

    def set_instructions(self, text: str) -> None: ...

    def add_text_turn(self, role: Role, text: str) -> None: ...

    def respond(self) -> None: ...

    def cancel(self) -> None: ...

    def truncate(self, reply_id: int, heard_ms: int) -> str: ...

    def snapshot(self, model: str, played_ms: int | None = None) -> Snapshot: ...

    def restore(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Sessions:
    """How to open sessions (seed -> a fresh conversation), and who executes what they ask for.

    ``model`` names the LLM, for snapshots.
    """

    open: Callable[[int], Session]
    executor: Executor
    model: str


SessionFactory = Callable[[AgentSpec], Sessions]

DEFAULT_FACTORY = "duplex_agent.engine.sessions:load"


def load(spec: AgentSpec) -> Sessions:
    """Load the network once, for any number of conversations.

    Raises AssetError, CheckpointError, ThinkerError or LlmError when a part cannot be had.
    """
    from duplex_agent.engine.executor import CpuExecutor
    from duplex_agent.engine.parts import load_parts, session_config

    parts, open_llm = load_parts(spec)
    executor = CpuExecutor(parts)
    config = session_config(spec)

    def open_session(seed: int) -> DuplexSession:
        return DuplexSession(parts, config, spec.seed + seed, open_llm=open_llm)

    # The first tick of a process builds kernels and touches every page, and reads the prompt that
    # every conversation begins with: not in a conversation.
    warm_up = open_session(0)
    for _ in range(3):
        run_one(warm_up.steps(np.zeros(USER_TICK_SAMPLES, dtype=np.float32)), executor)
    return Sessions(open_session, executor, spec.model)
