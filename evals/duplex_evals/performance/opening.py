"""What opening a call costs three others that talk: their worst tick with and without it.

Three spoken conversations run side by side in the slots of one worker, twice with the same audio.
The second time a fourth call is opened before every 25th tick, has its first tick, and is closed.
Times are CPU time, so that nothing else on the machine counts.
"""

import time
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.progress import track
from rich.table import Table

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.engine import wire
from duplex_agent.engine.sessions import Sessions, load
from duplex_agent.engine.slots import Slots
from duplex_agent.spec import AgentSpec
from duplex_agent.terminal import Console
from duplex_evals.conversation.user_channel import UserChannel
from duplex_evals.families import smooth_turn

TALKING: Final = 3
OPEN_EVERY: Final = 25
TARGET: Final = 1.25


def tick_costs(sessions: Sessions, ticks: int, opening: bool) -> tuple[list[float], list[int]]:
    """CPU time, ms, of each tick of three conversations, and the ticks with a call opened."""
    slots = Slots(sessions, TALKING + 1)
    users = [UserChannel(scenario, 0) for scenario in smooth_turn.scenarios()[:TALKING]]
    calls = [str(number) for number in range(TALKING)]
    slots.handle([{"op": "open", "call": call} for call in calls])
    silence = np.zeros(AGENT_TICK_SAMPLES, np.float32)
    heard = dict.fromkeys(calls, silence)
    costs, opened = [], []
    for number in track(range(ticks), "with a call opened" if opening else "alone", transient=True):
        requests = [
            _tick(call, user.step(heard[call])) for call, user in zip(calls, users, strict=True)
        ]
        if opening and number % OPEN_EVERY == OPEN_EVERY - 1:
            opened.append(number)
            new = {"op": "open", "call": "new"}
            requests = [new, *requests, _tick("new", np.zeros(TICK_MS * 16, np.float32))]
        started = time.process_time()
        replies = slots.handle(requests)
        costs.append((time.process_time() - started) * 1000)
        if opened and opened[-1] == number:
            slots.handle([{"op": "close", "call": "new"}])
            replies = replies[1:-1]
        for call, reply in zip(calls, replies, strict=True):
            heard[call] = wire.decode_pcm(reply["pcm"])
    return costs, opened


def main(
    seconds: Annotated[int, typer.Option(min=4, help="of the three conversations")] = 20,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 above the target.")] = False,
) -> None:
    """Print the worst tick of three conversations, alone and with a fourth call opened."""
    sessions = load(AgentSpec())
    ticks = seconds * 1000 // TICK_MS
    alone, _ = tick_costs(sessions, ticks, opening=False)
    beside, opened = tick_costs(sessions, ticks, opening=True)
    ratio = max(beside) / max(alone)
    more = [beside[number] - alone[number] for number in opened]
    table = Table("", "worst tick, ms", "p95, ms", title="three conversations in one worker")
    table.add_row("alone", f"{max(alone):.1f}", f"{np.percentile(alone, 95):.1f}")
    label = f"a fourth call opened {len(opened)} times"
    table.add_row(label, f"{max(beside):.1f}", f"{np.percentile(beside, 95):.1f}")
    console = Console()
    console.print(table)
    console.print(f"worst tick {ratio:.2f} times that without it (target {TARGET})")
    console.print(f"opening and its first tick: {np.median(more):.1f} ms, at most {max(more):.1f}")
    if check and ratio > TARGET:
        raise typer.Exit(1)


def _tick(call: str, pcm: np.ndarray[Any, np.dtype[np.float32]]) -> wire.Message:
    return {"op": "tick", "call": call, "pcm": wire.encode_pcm(pcm), "played_ms": None}
