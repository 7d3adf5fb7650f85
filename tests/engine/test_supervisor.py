"""The worker process over its whole life: load, serve, break, come back, end."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from duplex_agent.clock import AGENT_TICK_SAMPLES, USER_TICK_SAMPLES
from duplex_agent.engine.supervisor import Supervisor, WorkerState
from duplex_agent.errors import AudioError, SessionBroken, SlotsBusy, WorkerDied

SILENCE = np.zeros(USER_TICK_SAMPLES, dtype=np.float32)


def running(factory, scenario, slots=1):
    """Run ``scenario(supervisor)`` with a ready worker, and see that none is left after it."""

    async def main():
        supervisor = Supervisor(factory=f"light_session:{factory}", slots=slots)
        supervisor.start()
        try:
            await asyncio.wait_for(supervisor.wait_for(WorkerState.READY), 60)
            pid = supervisor.pid
            await asyncio.wait_for(scenario(supervisor), 60)
        finally:
            await supervisor.stop()
        assert not psutil.pid_exists(pid)

    asyncio.run(main())


def test_a_tick_over_the_wire_equals_the_same_tick_in_this_process(monkeypatch):
    monkeypatch.syspath_prepend(os.environ["PYTHONPATH"])
    from light_session import EchoSession

    rng = np.random.default_rng(0)
    loud = [rng.normal(0, 0.1, USER_TICK_SAMPLES).astype(np.float32) for _ in range(3)]

    async def scenario(supervisor):
        local = EchoSession()
        await supervisor.link.open("a", seed=1)
        heard = 0.0
        for block in [*loud, *[SILENCE] * 12]:
            reply = await supervisor.link.tick("a", block)
            tick = local.tick(block)
            np.testing.assert_array_equal(reply.agent_pcm, tick.agent_pcm)
            *events, compute = reply.events
            assert events == [event.to_json() for event in tick.events]
            assert compute["type"] == "tick.compute"
            heard = max(heard, float(np.abs(reply.agent_pcm).max()))
        assert heard > 0.1

    running("load", scenario)


def test_slots_are_counted_and_given_back():
    async def scenario(supervisor):
        link = supervisor.link
        await link.open("a")
        await link.open("b")
        with pytest.raises(SlotsBusy):
            await link.open("c")
        await link.close_call("a")
        await link.open("c")
        assert (await link.tick("c", SILENCE)).agent_pcm.shape == (AGENT_TICK_SAMPLES,)

    running("load", scenario, slots=2)


def test_sound_of_the_wrong_length_is_refused_and_the_session_goes_on():
    async def scenario(supervisor):
        await supervisor.link.open("a")
        with pytest.raises(AudioError, match="1280"):
            await supervisor.link.tick("a", SILENCE[:100])
        await supervisor.link.tick("a", SILENCE)

    running("load", scenario)


def test_a_session_that_raises_ends_alone():
    async def scenario(supervisor):
        await supervisor.link.open("a")
        await supervisor.link.open("b")
        with pytest.raises(SessionBroken, match="a bug"):
            await supervisor.link.tick("a", SILENCE + 2)
        await supervisor.link.tick("b", SILENCE)
        assert supervisor.state is WorkerState.READY

    running("load_fragile", scenario, slots=2)


def test_a_killed_worker_fails_its_tick_and_a_new_one_serves():
    async def scenario(supervisor):
        states = []
        supervisor.on_change(lambda *change: states.append(change))
        await supervisor.link.open("a")
        with pytest.raises(WorkerDied):
            await supervisor.link.tick("a", SILENCE + 1)
        await supervisor.wait_for(WorkerState.RESTARTING)
        with pytest.raises(WorkerDied):
            await supervisor.link.open("b")
        await supervisor.wait_for(WorkerState.READY)
        await supervisor.link.open("b")
        assert states == [
            (WorkerState.RESTARTING, "the worker was killed by signal 9"),
            (WorkerState.READY, ""),
        ]

    running("load_fragile", scenario)


def test_a_failed_load_is_reported_in_its_own_words_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHT_SESSION_FLAG", str(tmp_path / "flag"))
    details = []

    async def main():
        supervisor = Supervisor(factory="light_session:load_fails_once")
        supervisor.on_change(lambda state, detail: details.append((state, detail)))
        supervisor.start()
        await asyncio.wait_for(supervisor.wait_for(WorkerState.READY), 60)
        await supervisor.stop()

    asyncio.run(main())
    assert (WorkerState.RESTARTING, "not yet") in details


def test_stop_while_the_model_loads_leaves_no_process():
    async def main():
        supervisor = Supervisor(factory="light_session:load_slowly")
        supervisor.start()
        await asyncio.sleep(1)
        pid = supervisor.pid
        assert psutil.pid_exists(pid)
        async with asyncio.timeout(20):  # of the minute that loading takes
            await supervisor.stop()
        assert not psutil.pid_exists(pid)

    asyncio.run(main())


PARENT = """
import asyncio, sys
from duplex_agent.engine.supervisor import Supervisor, WorkerState
async def main():
    supervisor = Supervisor(factory="light_session:" + sys.argv[1])
    supervisor.start()
    while supervisor.pid is None:
        await asyncio.sleep(0.01)
    if sys.argv[1] == "load":
        await supervisor.wait_for(WorkerState.READY)
    print(supervisor.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("factory", ["load", "load_slowly"])
def test_the_worker_dies_with_a_killed_gateway(factory):
    arguments = [sys.executable, "-c", PARENT, factory]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        if factory == "load_slowly":
            time.sleep(1)
        os.kill(parent.pid, signal.SIGKILL)
        worker.wait(timeout=10)
