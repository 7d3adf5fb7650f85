"""A scenario against an agent on the tick clock: faster than real time, the same every time."""

import time
from typing import Any

import numpy as np

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.conversation.user_channel import UserChannel
from duplex_evals.runners.agent import Agent, FollowsTruth


def run_offline(agent: Agent, scenario: Scenario, seed: int) -> Record:
    """Hold the conversation and record it as a live listener would hear it.

    What a tick answers sounds one tick later. Raises ClipError for a clip that cannot be had and
    whatever the agent raises.
    """
    started = time.perf_counter()
    channel = UserChannel(scenario, seed)
    agent.reset(seed, scenario.instructions)
    if isinstance(agent, FollowsTruth):
        agent.follow(channel)
    user, heard = [], []
    events: list[dict[str, Any]] = []
    compute_ms: list[float] = []
    sounding = np.zeros(AGENT_TICK_SAMPLES, np.float32)
    while not channel.done:
        pcm = channel.step(sounding)
        tick = agent.tick(pcm)
        user.append(pcm)
        heard.append(sounding)
        sounding = tick.agent_pcm
        for event in tick.events:
            if event.type == "tick.compute":
                compute_ms.append(float(event.data["compute_ms"]))
            else:
                events.append(event.to_json())
    return Record(
        scenario=scenario,
        agent_name=agent.name,
        seed=seed,
        user=np.concatenate(user),
        agent=np.concatenate(heard),
        placed=channel.placed,
        events=events,
        compute_ms=compute_ms,
        wall_s=time.perf_counter() - started,
    )
