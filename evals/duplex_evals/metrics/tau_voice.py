"""tau-voice (tau2-bench, docs/interaction-metrics.md): its panel on our scenarios.

Computed as published on 200 ms ticks of both sides: a tick with any speech is a speaking tick.
Our user turns are the placed ones, so a pause inside a turn does not end it.
"""

from math import ceil
from typing import Final

from duplex_evals.audio.segments import Span
from duplex_evals.conversation.record import Placed
from duplex_evals.metrics.conversation import USER, Conversation, bounds
from duplex_evals.metrics.observation import Metric, Observation, share
from duplex_evals.metrics.selectivity import CATEGORY

TICK_MS: Final = 200
NO_YIELD_TICKS: Final = 10  # 2.0 s
ERROR_YIELD_TICKS: Final = 5  # 1.0 s
RESPONSE_TICKS: Final = 10  # 2.0 s
SELECTIVITY: Final = {
    "backchannel": "tau_voice_s_bc",
    "vocal_tic": "tau_voice_s_vt",
    "non_directed": "tau_voice_s_nd",
}

METRICS: Final = (
    Metric(
        "tau_voice_l_r",
        "tau-voice L_R: mean from the end of a user turn to the start of the response.",
        "ratio",
        "s",
    ),
    Metric(
        "tau_voice_l_y",
        "tau-voice L_Y: mean from an interruption to the agent's stop, where it yields.",
        "ratio",
        "s",
    ),
    Metric(
        "tau_voice_r_r",
        "tau-voice R_R: user turns that end with the agent silent and are answered before the "
        "user speaks again.",
        "share",
        "share",
    ),
    Metric(
        "tau_voice_r_y",
        "tau-voice R_Y: user interruptions where the agent stops within 2.0 s.",
        "share",
        "share",
    ),
    Metric(
        "tau_voice_i_a",
        "tau-voice I_A: agent starts while the user speaks, per user turn; can exceed 1.",
        "ratio",
        "",
    ),
    Metric(
        "tau_voice_s_bc",
        "tau-voice S_BC: user backchannels over the agent without a stop within 1.0 s.",
        "share",
        "share",
    ),
    Metric(
        "tau_voice_s_vt",
        "tau-voice S_VT: vocal tics without a stop within 1.0 s (agent speaking) and without a "
        "start up to 2.0 s after (agent silent).",
        "share",
        "share",
    ),
    Metric(
        "tau_voice_s_nd",
        "tau-voice S_ND: speech not for the agent, ignored in the same sense as in S_VT.",
        "share",
        "share",
    ),
)


def observe(c: Conversation) -> list[Observation]:
    """The panel's events of one conversation."""
    ticks = ceil(c.end_ms / TICK_MS)
    agent = speaking_ticks(list(c.agent), ticks)
    seen = []
    turns = [turn for turn in c.turns if turn.expect == "reply"]
    for turn in turns:
        seen += _response(c, agent, turn)
    for turn in c.turns:
        seen += _yield(agent, turn)
    for item in c.items:
        seen += _selective(agent, item)
    if turns:
        seen.append(Observation("tau_voice_i_a", len(_incursions(c, agent)), per=len(turns)))
    return seen


def speaking_ticks(spans: list[Span], ticks: int) -> list[bool]:
    """Which of the 200 ms ticks hold any speech."""
    state = [False] * ticks
    for start, end in spans:
        for tick in range(int(start // TICK_MS), min(ceil(end / TICK_MS), ticks)):
            state[tick] = True
    return state


def starts(state: list[bool]) -> list[int]:
    """The ticks in which speech begins."""
    return [t for t, on in enumerate(state) if on and not (t and state[t - 1])]


def _response(c: Conversation, agent: list[bool], turn: Placed) -> list[Observation]:
    _, end = _ticks(turn)
    if end >= len(agent) or agent[end - 1]:  # the agent talks into its end: no response to time
        return []
    until = min(ceil(c.next_turn_ms(bounds(turn)[0]) / TICK_MS), len(agent))
    begun = next((t for t in range(end, until) if agent[t]), None)
    seen = [share("tau_voice_r_r", begun is not None)]
    if begun is not None:
        seen.append(Observation("tau_voice_l_r", (begun - end) * TICK_MS / 1000))
    return seen


def _yield(agent: list[bool], turn: Placed) -> list[Observation]:
    start, _ = _ticks(turn)
    if not _met_speech(agent, start):
        return []
    stop = _stop(agent, start, NO_YIELD_TICKS)
    seen = [share("tau_voice_r_y", stop is not None)]
    if stop is not None:
        seen.append(Observation("tau_voice_l_y", (stop - start) * TICK_MS / 1000))
    return seen


def _selective(agent: list[bool], item: Placed) -> list[Observation]:
    name = SELECTIVITY.get(CATEGORY.get(item.kind, ""))
    if name is None or item.expect not in ("continue", "ignore"):
        return []
    start, end = _ticks(item)
    if _met_speech(agent, start):
        return [share(name, _stop(agent, start, ERROR_YIELD_TICKS) is None)]
    if item.kind == "backchannel":
        return []
    return [share(name, not any(start <= t <= end + RESPONSE_TICKS for t in starts(agent)))]


def _incursions(c: Conversation, agent: list[bool]) -> list[int]:
    user = [s for item in c.items if item.kind in USER for s in item.spans_ms]
    speaking = speaking_ticks(user, len(agent))
    # The user spoke first: a tick in which both begin is nobody's interruption.
    return [t for t in starts(agent) if t and speaking[t] and speaking[t - 1]]


def _ticks(item: Placed) -> tuple[int, int]:
    """First tick of an item, and the first one after it."""
    start, end = bounds(item)
    return int(start // TICK_MS), ceil(end / TICK_MS)


def _met_speech(agent: list[bool], start: int) -> bool:
    return start > 0 and start < len(agent) and agent[start] and agent[start - 1]


def _stop(agent: list[bool], start: int, window: int) -> int | None:
    return next((t for t in range(start, min(start + window, len(agent))) if not agent[t]), None)
