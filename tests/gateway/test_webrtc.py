"""The outgoing track's pace, and the end of a connection."""

import asyncio
import contextlib
import time

from aiortc import RTCSessionDescription

from duplex_agent.gateway.playout import Playout
from duplex_agent.gateway.receive import UserAudio
from duplex_agent.gateway.webrtc import AgentTrack, Peer


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


HALF_NAMED = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 00:11
a=setup:actpass
a=mid:1
a=rtcp-mux
a=rtpmap:111 opus/48000/2
"""


def test_a_connection_that_aiortc_has_half_built_is_closed_without_an_error():
    async def scenario():
        peer = Peer(UserAudio(), Playout())
        with contextlib.suppress(AttributeError):
            offer = RTCSessionDescription(HALF_NAMED, "offer")
            await peer._connection.setRemoteDescription(offer)
        await peer.close()
        assert peer.closed.is_set()

    asyncio.run(scenario())
