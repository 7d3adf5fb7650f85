"""What a worker runs in its slots, and the factory that makes the real thing."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.events import Tick
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD, DEFAULT_TOKENS, TokenKind
from duplex_agent.errors import LlmError
from duplex_agent.llm.remote.endpoint import Endpoint, api_key

if TYPE_CHECKING:
    from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
    from duplex_agent.duplex.session import OpenLlm


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


def load(
    llm: Endpoint | None = None,
    look_ahead_ticks: int = DEFAULT_LOOK_AHEAD,
    tokens: TokenKind = DEFAULT_TOKENS,
) -> SessionFactory:
    """Load the network once; every call of the result opens a conversation on it.

    ``llm``: the chat endpoint that writes the replies, in place of the thinker.
    ``look_ahead_ticks``: how far the ear hears ahead. ``tokens``: what it tells the thinker.
    Raises AssetError or CheckpointError when a part of the network is missing.
    """
    from duplex_agent.duplex.config import SessionConfig
    from duplex_agent.engine.conversation import Conversation
    from duplex_agent.engine.executor import CpuExecutor

    model, open_llm = load_parts(llm, look_ahead_ticks, tokens)
    executor = CpuExecutor(model)

    def open_session(seed: int) -> Session:
        return Conversation(model, SessionConfig(), seed, open_llm=open_llm, executor=executor)

    # The first tick of a process builds kernels and touches every page: not in a conversation.
    warm_up = open_session(0)
    for _ in range(3):
        warm_up.tick(np.zeros(1280, dtype=np.float32))
    return open_session


def load_parts(
    llm: Endpoint | None,
    look_ahead_ticks: int = DEFAULT_LOOK_AHEAD,
    tokens: TokenKind = DEFAULT_TOKENS,
) -> "tuple[FlowOmni | EarAndVoice, OpenLlm | None]":
    """What a session is made of: the network, and the LLM where that is not the thinker.

    The key of the endpoint is read from the environment. Raises LlmError for a key that cannot
    be one and for ``tokens`` that no endpoint can be sent, AssetError or CheckpointError when a
    part of the network is missing.
    """
    import torch

    from duplex_agent.engine import parts

    torch.set_num_threads(1)
    if llm is None:
        return parts.load(look_ahead_ticks=look_ahead_ticks, tokens=tokens), None
    if tokens != "words":
        raise LlmError(f"a chat endpoint reads words: no {tokens} tokens with --llm")
    from duplex_agent.llm.remote.client import ChatClient
    from duplex_agent.llm.remote.remote_llm import RemoteLlm

    open_llm = partial(RemoteLlm, ChatClient(llm, api_key()))
    return parts.load_ear_and_voice(look_ahead_ticks), open_llm
