"""Every setting of a conversation, in one frozen record. Durations are ms, budgets are per tick."""

from dataclasses import dataclass, field

from duplex_agent.duplex.floor import FloorConfig
from duplex_agent.llm.settings import LlmSettings


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How a conversation runs.

    The token budgets keep a tick inside 80 ms: a decode step of the default thinker takes 8-9 ms
    on a free core. Speech needs about four tokens a second, so one a tick (12.5 a second) keeps
    the text ahead of the voice; without a voice to compute, in the pause before it, there are more.
    """

    floor: FloorConfig = field(default_factory=FloorConfig)
    llm: LlmSettings = field(default_factory=LlmSettings)

    # hearing
    preroll_ticks: int = 2  # soft onsets: hear from this long before the detected start

    # thinking
    first_tokens_per_tick: int = 3  # until the voice starts
    tokens_per_tick: int = 1  # while it speaks
    read_per_tick: int = 12  # positions of what was heard, or added as text, read in a tick

    # speaking
    playout_delay_ms: int = 0  # assumed, where the caller of tick does not say what was played
