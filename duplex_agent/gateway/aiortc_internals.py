"""The two internals of aiortc and aioice that are replaced, each guarded by a check at start-up.

aiortc is pinned exactly; should an update move what is used here, the server refuses to start
and says so, instead of losing audio silently.
"""

from collections.abc import Callable
from typing import Final

import aioice.ice
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from duplex_agent.errors import GatewayError

PacketSink = Callable[[int, bytes], None]

_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
_find_addresses = aioice.ice.get_host_addresses


class PacketTap:
    """Stands in for aiortc's jitter buffer: hands every packet on and keeps none.

    aiortc's own waits for sixteen packets after one loss and never drains. As nothing ever comes
    out of the tap, aiortc's decoder thread sleeps.
    """

    def __init__(self, sink: PacketSink) -> None:
        self._sink = sink

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Called by aiortc for every packet, with the payload in ``packet.payload``."""
        self._sink(packet.timestamp, packet.payload)
        return False, None


def tap(receiver: RTCRtpReceiver, sink: PacketSink) -> None:
    """Send the packets of ``receiver`` to ``sink(timestamp, payload)`` from now on."""
    if not hasattr(getattr(receiver, _BUFFER, None), "add"):
        raise GatewayError("this aiortc keeps its jitter buffer elsewhere: install aiortc==1.16.0")
    setattr(receiver, _BUFFER, PacketTap(sink))


def advertise_loopback() -> None:
    """Offer 127.0.0.1 as an address too: aioice leaves it out, and offline there is no other.

    For servers that only this machine can reach.
    """

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1", *_find_addresses(use_ipv4, use_ipv6)]

    aioice.ice.get_host_addresses = addresses


def check_internals() -> None:
    """Raise GatewayError unless aiortc and aioice are built as this module expects."""
    arguments = RTCRtpReceiver._handle_rtp_packet.__code__.co_names
    if _BUFFER not in arguments or _BUFFER not in RTCRtpReceiver.__init__.__code__.co_names:
        raise GatewayError("this aiortc keeps its jitter buffer elsewhere: install aiortc==1.16.0")
    if "get_host_addresses" not in aioice.ice.Connection.gather_candidates.__code__.co_names:
        raise GatewayError("this aioice finds its addresses elsewhere: install aiortc==1.16.0")
