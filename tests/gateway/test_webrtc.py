"""The outgoing track's pace."""

import asyncio
import time

from duplex_agent.gateway.playout import Playout
from duplex_agent.gateway.webrtc import AgentTrack


def test_packets_leave_every_20_ms_and_a_stall_is_skipped_instead_of_a_burst():
    async def scenario():
        track = AgentTrack(Playout())
        first = await track.recv()
        started = time.monotonic()
        for _ in range(10):
            packet = await track.recv()
        # Never ahead of the clock: ten packets take ten periods, whatever the load.
        assert time.monotonic() - started > 0.19
        before = packet.pts
        assert before - first.pts >= 10 * 960
        time.sleep(0.5)  # noqa: ASYNC251 - the stall
        packet = await track.recv()
        assert packet.pts - before >= 24 * 960
        track.stop()

    asyncio.run(scenario())
