"""Runs a floor over patterns of sound: ``#`` speech, ``~`` a doubtful sound, ``.`` silence."""

from dataclasses import replace

from duplex_agent.duplex.floor import Evidence, Floor, FloorConfig, FloorState, Kind, transition

CONFIG = FloorConfig()
LEVELS = {"#": 0.95, "~": 0.4, ".": 0.02}
ASKED, CANCELLED = "a client asked for a reply", "a client cancelled the reply"
OVER = Evidence(0.02, voice_over="said everything")

Made = list[tuple[int, Kind, str, int]]  # made in which tick, what, why, and of which tick


def heard(pattern: str, **more: object) -> list[Evidence]:
    """Evidence of the sounds; ``more`` is known in the last tick."""
    made = [Evidence(LEVELS[mark]) for mark in pattern]
    return [*made[:-1], replace(made[-1], **more)]


def run(
    inputs: str | list[Evidence], state: FloorState | None = None, config: FloorConfig = CONFIG
) -> tuple[FloorState, Made]:
    """The state after a sequence, and every decision in it."""
    state = state or FloorState()
    made: Made = []
    for one in heard(inputs) if isinstance(inputs, str) else inputs:
        tick = state.tick
        state, decisions = transition(state, one, config)
        assert state.tick == tick + 1
        made += [(tick, d.kind, d.reason, d.tick) for d in decisions]
    return state, made


def replying(config: FloorConfig = CONFIG) -> FloorState:
    """A turn of ticks 0 to 9 is over: the next tick is 17."""
    state, _ = run("##########.......", config=config)
    assert (state.floor, state.tick) == (Floor.REPLYING, 17)
    return state
