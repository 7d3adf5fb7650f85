"""One conversation as a caller wants it: 80 ms in, 80 ms out."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.events import Event, Tick
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.session import DuplexSession, OpenLlm
from duplex_agent.duplex.vad import Vad
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.engine.run import Executor, run_one


class Conversation:
    """A session and who executes it; the same samples give the same conversation.

    ``executor``: by default one on ``parts`` of its own, for sound that does not come live.
    ``timer`` (seconds) measures what a tick costs.
    """

    def __init__(
        self,
        parts: FlowOmni | EarAndVoice,
        config: SessionConfig | None = None,
        seed: int = 0,
        vad: Vad | None = None,
        timer: Callable[[], float] = time.perf_counter,
        open_llm: OpenLlm | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.session = DuplexSession(parts, config, seed, vad, open_llm)
        self._executor = executor or CpuExecutor(parts, live=False)
        self._timer = timer

    def tick(self, user_pcm: NDArray[np.float32], played_ms: int | None = None) -> Tick:
        """As `DuplexSession.steps`, with the event ``tick.compute`` behind the others."""
        started = self._timer()
        tick = run_one(self.session.steps(user_pcm, played_ms), self._executor)
        cost_ms = round((self._timer() - started) * 1000, 2)
        cost = Event("tick.compute", self.session.now_ms, {"compute_ms": cost_ms})
        return replace(tick, events=(*tick.events, cost))

    def close(self) -> None:
        """The conversation is over: nothing goes on for it anywhere."""
        self.session.close()
