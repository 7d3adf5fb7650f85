"""The gateway's end of the worker socket, on streams that the test feeds."""

import asyncio

import numpy as np
import pytest

from duplex_agent.engine import wire
from duplex_agent.engine.link import WorkerLink
from duplex_agent.errors import WorkerDied

BLOCK = np.zeros(1280, dtype=np.float32)
REPLY = {"op": "ticked", "id": 1, "pcm": wire.encode_pcm(BLOCK), "events": []}


class Sink:
    """A writer whose bytes nobody reads."""

    def write(self, data):
        pass


async def ready_link():
    reader = asyncio.StreamReader()
    reader.feed_data(wire.pack({"op": "loading"}) + wire.pack({"op": "ready", "slots": 3}))
    link = WorkerLink(reader, Sink())
    assert await link.wait_ready() == 3
    return reader, link


@pytest.mark.parametrize("steps", range(8))
def test_a_cancellation_that_meets_the_reply_is_not_lost(steps):
    async def scenario():
        reader, link = await ready_link()
        tick = asyncio.create_task(link.tick("a", BLOCK))
        await asyncio.sleep(0)
        reader.feed_data(wire.pack(REPLY))
        for _ in range(steps):
            await asyncio.sleep(0)
        taken = tick.cancel()
        await asyncio.wait([tick])
        assert tick.cancelled() == taken

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00\x00\x05ab",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x01\x01",
    ],
)
def test_a_broken_stream_fails_what_waits_and_what_comes_later(data):
    async def scenario():
        reader, link = await ready_link()
        tick = asyncio.create_task(link.tick("a", BLOCK))
        await asyncio.sleep(0)
        reader.feed_data(data)
        reader.feed_eof()
        with pytest.raises(WorkerDied):
            await tick
        with pytest.raises(WorkerDied):
            await link.open("b")
        assert link.closed.is_set()

    asyncio.run(scenario())
