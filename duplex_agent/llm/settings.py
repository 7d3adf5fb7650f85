"""What an LLM is told, how it writes, and how much of a conversation it keeps."""

from dataclasses import dataclass, field

from duplex_agent.llm.chat import EXAMPLES, SYSTEM_PROMPT
from duplex_agent.llm.sampling import Sampling


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """Settings of the LLM in one conversation; lengths are in tokens."""

    system_prompt: str = SYSTEM_PROMPT
    examples: tuple[tuple[str, str], ...] = EXAMPLES  # turn pairs before the first real one

    # replies
    max_reply_tokens: int = 60
    enough_tokens: int = 20  # a sentence that ends after this many tokens ends the reply
    sampling: Sampling = field(default_factory=Sampling)
    fresh_replies: int = 4  # the repetition penalty also covers the words of so many replies

    # context
    turn_positions: int = 320  # room in the context that a turn starts with
    reply_positions: int = 80  # room that the user's words leave for the reply
    remember_positions: int = 1100  # of old turns: three to four minutes of lively talk
    keep: float = 0.75  # fraction of them that stays when the oldest turns go
