"""The agents under test, as one interface: 80 ms of the user in, 80 ms of the agent out."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.events import Tick

if TYPE_CHECKING:
    from duplex_evals.conversation.user_channel import UserChannel


class Agent(Protocol):
    """A conversation partner on the tick clock, without a wall clock.

    ``abilities`` names what the agent claims beyond talking ("memory", "instructions", ...);
    what it does not claim prints N/A.
    """

    name: str
    abilities: frozenset[str]

    def reset(self, seed: int, instructions: str = "") -> None:
        """Begin a new conversation."""
        ...

    def tick(self, user_pcm: NDArray[np.float32]) -> Tick:
        """``user_pcm`` float32 [1280] at 16 kHz -> float32 [1920] at 24 kHz and events."""
        ...


@runtime_checkable
class FollowsTruth(Protocol):
    """An agent made for testing the metrics: it is told what the user's channel holds."""

    def follow(self, channel: "UserChannel") -> None:
        """Called after ``reset`` with the conversation's user."""
        ...
