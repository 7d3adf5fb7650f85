"""The project's own agent behind the interface of the agents under test."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.events import Tick
from duplex_agent.engine.conversation import Conversation


class LocalAgent:
    """``Conversation`` with the shipped weights, one session for each conversation.

    ``model`` is what ``duplex_agent.engine.parts.load`` gives; by default it is loaded.
    """

    name = "local"
    abilities = frozenset({"memory", "instructions"})

    def __init__(self, model: Any = None, config: SessionConfig | None = None) -> None:
        if model is None:
            from duplex_agent.engine import parts

            model = parts.load()
        self._model = model
        self._config = config or SessionConfig()
        self._session: Conversation | None = None

    def reset(self, seed: int, instructions: str = "") -> None:
        """Begin a new conversation; ``instructions`` stand in for the system prompt."""
        config = self._config
        if instructions:
            config = replace(config, llm=replace(config.llm, system_prompt=instructions))
        # CPU time, as the cascade counts it: what else the machine does is nobody's fault.
        self._session = Conversation(self._model, config, seed, timer=time.process_time)

    def tick(self, user_pcm: NDArray[np.float32]) -> Tick:
        """One tick of the session."""
        assert self._session is not None, "reset begins a conversation"
        return self._session.tick(user_pcm)
