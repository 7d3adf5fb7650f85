"""The same conversations under worse conditions: noise, rooms, lost packets, fast and slow users.

A sweep takes any scenarios, so whatever can be scored in quiet can be scored here; every case is
compared with itself.
"""

from collections.abc import Sequence
from typing import Final

from duplex_evals.conversation.scenario import Conditions, Scenario

CLEAN: Final = "clean"
CONDITIONS: Final[dict[str, Conditions]] = {
    "snr20": Conditions(snr_db=20),
    "snr10": Conditions(snr_db=10),
    "snr0": Conditions(snr_db=0),
    "reverb": Conditions(reverb_s=0.6),  # a living room without carpets
    "loss1": Conditions(loss=0.01),
    "loss5": Conditions(loss=0.05),
    "loss10": Conditions(loss=0.10),
    "slow": Conditions(speed=0.8),
    "fast": Conditions(speed=1.25),
    "telephone": Conditions(telephone=True),
}
WORDS: Final = {
    "snr20": "white noise at 20 dB SNR",
    "snr10": "white noise at 10 dB SNR",
    "snr0": "white noise at 0 dB SNR",
    "reverb": "a room with an RT60 of 0.6 s",
    "loss1": "1 % of packets lost",
    "loss5": "5 % of packets lost",
    "loss10": "10 % of packets lost",
    "slow": "a user at 0.8 times the pace",
    "fast": "a user at 1.25 times the pace",
    "telephone": "a telephone line (300-3400 Hz, mu-law)",
}
_MARK: Final = "~"


def under(scenario: Scenario, condition: str) -> Scenario:
    """``scenario`` with its conditions replaced by the named ones and its id marked so."""
    changed = {"id": f"{scenario.id}{_MARK}{condition}", "conditions": CONDITIONS[condition]}
    return scenario.model_copy(update=changed)


def sweep(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Every scenario under every condition, in this order; the clean ones are not in it."""
    return [under(scenario, condition) for condition in CONDITIONS for scenario in scenarios]


def case_of(scenario_id: str) -> tuple[str, str]:
    """The id of the case without its condition, and the condition (``clean`` for none)."""
    case, _, condition = scenario_id.partition(_MARK)
    return case, condition or CLEAN
