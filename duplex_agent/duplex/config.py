"""Every knob of a conversation, in one frozen record. Durations are ms, budgets are per tick."""

from dataclasses import dataclass, field

from duplex_agent.duplex.floor import FloorConfig
from duplex_agent.model.chat import EXAMPLES, SYSTEM_PROMPT
from duplex_agent.model.sampling import Sampling


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How a conversation runs.

    The token budgets keep a tick inside 80 ms: a decode step of the default thinker takes 8-9 ms
    on a free core. Speech needs about four tokens a second, so one a tick (12.5 a second) keeps
    the text ahead of the voice; without a voice to compute, in the pause before it, there are more.
    """

    floor: FloorConfig = field(default_factory=FloorConfig)
    system_prompt: str = SYSTEM_PROMPT
    examples: tuple[tuple[str, str], ...] = EXAMPLES  # exchanges before the first real one

    # hearing
    preroll_ticks: int = 2  # soft onsets: hear from this long before the detected start
    settle_max_ticks: int = 10  # the last words of a turn are waited for no longer than this

    # thinking
    first_tokens_per_tick: int = 3  # until the voice starts
    tokens_per_tick: int = 1  # while it speaks
    max_reply_tokens: int = 60
    enough_tokens: int = 20  # a sentence that ends after this many tokens ends the reply
    sampling: Sampling = field(default_factory=Sampling)
    fresh_replies: int = 4  # the repetition penalty also covers the words of so many replies

    # speaking
    playout_delay_ms: int = 0  # assumed, where the caller of tick does not say what was played

    # remembering
    exchange_positions: int = 320  # room in the thinker's context that a turn starts with
    reply_positions: int = 80  # room that hearing leaves for the reply
    remember_positions: int = 1100  # of old turns: three to four minutes of lively talk
    keep: float = 0.75  # share of them that stays when the oldest turns go
    read_per_tick: int = 12  # positions of what was heard, or added as text, read in a tick
