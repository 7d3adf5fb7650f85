"""Admission of calls in front of a real worker: no offer, whatever it holds, keeps a slot."""

import asyncio
import os
import random
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from duplex_agent.engine.link import TickReply
from duplex_agent.engine.supervisor import Supervisor, WorkerState
from duplex_agent.errors import SlotsBusy
from duplex_agent.gateway.api_error import ApiError
from duplex_agent.gateway.call import Call, CallTimeouts
from duplex_agent.gateway.calls import Calls
from duplex_agent.gateway.playout import FADE_SAMPLES

SLOTS = 8
LIGHT_SESSIONS = Path(__file__).parents[1] / "engine"


@pytest.fixture(autouse=True)
def light_sessions(monkeypatch):
    path = os.pathsep.join([str(LIGHT_SESSIONS), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


def with_calls(scenario, factory="load", slots=SLOTS):
    """Run ``scenario(calls, supervisor)`` in front of a worker with light sessions."""

    async def main():
        supervisor = Supervisor(factory=f"light_session:{factory}", slots=slots)
        supervisor.start()
        calls = Calls(supervisor, CallTimeouts())
        try:
            await asyncio.wait_for(supervisor.wait_for(WorkerState.READY), 60)
            await scenario(calls, supervisor)
        finally:
            await calls.close()
            await supervisor.stop()

    asyncio.run(main())


async def free_slots(supervisor, slots=SLOTS):
    """How many of the worker's slots can be taken; takes them."""
    for taken in range(slots):
        try:
            await supervisor.link.open(f"probe {taken}")
        except SlotsBusy:
            return taken
    return slots


async def browser_offer():
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    connection.createDataChannel("oai-events")
    await connection.setLocalDescription(await connection.createOffer())
    offer = connection.localDescription.sdp
    await connection.close()
    return offer


def mutations(offer, seed):
    """Offers with a line less, twice, cut short or moved up, and some with a few other bytes."""
    lines = offer.splitlines()
    for at, line in enumerate(lines):
        cut = line.partition(":")[0] + ":" if ":" in line else line[:2]
        for instead in ([], [line, line], [cut]):
            yield [*lines[:at], *instead, *lines[at + 1 :]]
        yield [*lines[: max(at - 1, 0)], line, *lines[max(at - 1, 0) : at], *lines[at + 1 :]]
    rng = random.Random(seed)
    for _ in range(100):
        text = list(offer)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            text[at : at + rng.randrange(2)] = rng.choice(["", *"0 9:-=a\n\xff\U0001f600"])
        yield "".join(text).splitlines()


@pytest.mark.usefixtures("caller")
def test_a_mutated_offer_is_answered_or_refused_and_its_slot_is_free_again():
    async def scenario(calls, supervisor):
        async def ask(lines):
            try:
                id, _ = await calls.answer("\r\n".join([*lines, ""]))
            except ApiError as error:
                return error.status
            await calls.hang_up(id)
            return 201

        answered = []
        offers = list(mutations(await browser_offer(), seed=0))
        for start in range(0, len(offers), SLOTS):
            batch = offers[start : start + SLOTS]
            answered += await asyncio.gather(*(ask(lines) for lines in batch))
        assert set(answered) == {201, 400}
        assert min(answered.count(201), answered.count(400)) > 50
        assert await free_slots(supervisor) == SLOTS

    with_calls(scenario)


@pytest.mark.usefixtures("caller")
def test_a_request_given_up_while_its_slot_is_opened_keeps_none():
    async def scenario(calls, supervisor):
        asked = asyncio.create_task(calls.answer(await browser_offer()))
        await asyncio.sleep(0)  # the worker has been asked for a slot and has not answered yet
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert await free_slots(supervisor, slots=1) == 1

    with_calls(scenario, slots=1)


@pytest.mark.usefixtures("caller")
def test_a_conversation_that_cannot_be_opened_is_told_so():
    async def scenario(calls, supervisor):
        with pytest.raises(ApiError, match="the prompt is too long") as caught:
            await calls.answer(await browser_offer())
        assert (caught.value.status, caught.value.code) == (500, "session_broken")

    with_calls(scenario, "load_unopenable")


@pytest.mark.parametrize("depth_ms", [0, 20, 80])
def test_a_barge_in_does_not_click_however_much_waits(depth_ms):
    t = np.arange(3 * 1920) / 24_000
    first, second, third = np.split((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), 3)
    # As the session stops its voice: what would have come, faded within 10 ms.
    fade = np.clip(1 - np.arange(1920, dtype=np.float32) / 240, 0, 1)

    async def heard():
        call = Call("rtc_x", Supervisor(), CallTimeouts())
        playout, sound = call.playout, []
        for tick, frames in ((first, 4), (second, 4 - depth_ms // 20)):
            call._deliver(TickReply(tick, []))
            sound += [playout.pop() for _ in range(frames)]
        call._deliver(TickReply(third * fade, [{"type": "playback.flush", "reply_id": 1}]))
        sound += [playout.pop() for _ in range(8)]
        await call.peer.close()
        return np.concatenate(sound)

    sound = asyncio.run(heard())
    assert np.abs(np.diff(sound)).max() <= 1.02 * np.abs(np.diff(first)).max()
    assert not sound[3840 - depth_ms * 24 + FADE_SAMPLES :].any()
