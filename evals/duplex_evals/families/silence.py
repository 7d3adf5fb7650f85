"""Nobody speaks: silence, noise, and sounds that are no speech. The agent should keep quiet.

The half called human holds recorded sounds: beeps of a telephone and screaming monkeys.
"""

from typing import Final

from duplex_evals.conversation.scenario import Anchor, Clip, Conditions, Item, Part, Scenario
from duplex_evals.families.building import cases, cut, item, spread
from duplex_evals.families.human_lines import SOUNDS

FAMILY: Final = "silence"
LENGTH_S: Final = 8.0
TAIL_S: Final = 4.0
# Beds are given as the SNR that a user would have over them.
BEDS: Final = (("white", 30.0), ("pink", 20.0), ("white", 15.0), ("pink", 10.0), ("hum", 20.0))
MADE: Final = (("noise:keys", 3.0), ("noise:hum", 2.0), ("noise:pink", 1.5), ("noise:white", 0.5))


def scenarios() -> list[Scenario]:
    """40 cases of 6 to 10 seconds."""
    return cases(20, _synthetic, _human)


def _synthetic(index: int) -> Scenario:
    turn_of, number = index % 3, index // 3
    if turn_of == 0:
        return _case(index, "synthetic", "digital", [], None)
    if turn_of == 1:
        noise, snr_db = BEDS[number % len(BEDS)]
        bed = Conditions(noise=f"noise:{noise}", snr_db=snr_db)
        return _case(index, "synthetic", f"{noise} noise", [], bed)
    source, length_s = MADE[number % len(MADE)]
    gain_db = -6.0 * (number % 2)
    part = Part(clip=Clip(file=source, end_s=length_s, gain_db=gain_db))
    return _case(index, "synthetic", "a sound", [_audio(index, part)], None)


def _human(index: int) -> Scenario:
    return _case(index, "human", "a sound", [_audio(index, cut(*SOUNDS[index]))], None)


def _audio(index: int, part: Part) -> Item:
    return item("sound", "noise", "ignore", [part], Anchor(delay_ms=spread(index, 1_000, 3_000)))


def _case(
    index: int, voice: str, subtype: str, items: list[Item], bed: Conditions | None
) -> Scenario:
    return Scenario.model_validate(
        {
            "id": f"{FAMILY}-{index:02d}-{voice}",
            "family": FAMILY,
            "subtype": subtype,
            "voice": voice,
            "seed": index,
            "items": items,
            "tail_s": TAIL_S if items else LENGTH_S,
            "conditions": bed or Conditions(),
        }
    )
