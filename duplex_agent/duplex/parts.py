"""What a conversation is made of: an ear, a thinker and a voice, each with its state outside."""

from dataclasses import dataclass

from duplex_agent.ear.hearing import Ear
from duplex_agent.llm.thinker import Thinker
from duplex_agent.voice.protocol import Voice


@dataclass(frozen=True)
class EarAndVoice:
    """The network without its thinker, for a conversation whose LLM is elsewhere."""

    ear: Ear
    voice: Voice


@dataclass(frozen=True)
class FlowOmni:
    """Ear, thinker and voice. Holds no conversation: any number may run on one of these."""

    ear: Ear
    thinker: Thinker
    voice: Voice
