"""What the HTTP endpoints take and refuse."""

import json
import re
import socket
import subprocess
import sys

import aioice.ice
import pytest
from aiortc import RTCRtpReceiver

from duplex_agent.errors import GatewayError
from duplex_agent.gateway import aiortc_internals
from duplex_agent.gateway import server as gateway_server
from duplex_agent.gateway.api_error import ApiError
from duplex_agent.gateway.offer import MAX_OFFER_BYTES, check_offer
from duplex_agent.spec import AgentSpec

CALLS = "/v1/realtime/calls"
OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 00:11
a=setup:actpass
a=mid:0
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
"""


def half_a_character(offer):
    """The offer as JSON, with a name of its section that no answer can repeat."""
    named = offer.replace("BUNDLE 0", "BUNDLE \ud800").replace("mid:0", "mid:\ud800")
    return json.dumps({"type": "offer", "sdp": named}).encode()


def test_importing_the_gateway_does_not_import_torch():
    code = "import sys, duplex_agent.gateway.server; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"hello", "application/sdp", 400, "invalid_offer"),
        (b"v=0\nm=nonsense", "application/sdp", 400, "invalid_offer"),
        (b"\xff\xfe", "application/sdp", 400, "invalid_offer"),
        (b"", "application/sdp", 400, "invalid_offer"),
        (b"[]", "application/json", 400, "invalid_offer"),
        (b'{"type": "answer", "sdp": "v=0"}', "application/json", 400, "invalid_offer"),
        (b"{", "application/json", 400, "invalid_offer"),
        (b"[" * 60_000, "application/json", 400, "invalid_offer"),
        (half_a_character(OFFER), "application/json", 400, "invalid_offer"),
        (OFFER.replace("a=mid:0\n", "").encode(), "application/sdp", 400, "invalid_offer"),
        (b"v=0" + b"x" * MAX_OFFER_BYTES, "application/sdp", 413, "offer_too_large"),
        (b"v=0", "text/html", 415, "unsupported_media_type"),
    ],
)
def test_a_bad_offer_is_refused_with_a_reason(server, body, content_type, status, code):
    answered, _, text = server.request(CALLS, body, content_type=content_type)
    assert answered == status
    error = json.loads(text)["error"]
    assert error["code"] == code
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert server.state()["calls"] == 0


def with_lines(*lines):
    return OFFER + "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (with_lines("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1"), "video_not_supported"),
        (OFFER.replace("opus/48000/2", "PCMU/8000"), "opus_required"),
        (OFFER.replace("sendrecv", "recvonly"), "no_microphone"),
        (OFFER.replace("a=ice-ufrag:abcd\n", ""), "invalid_offer"),
        (with_lines(*["m=audio 9 UDP/TLS/RTP/SAVPF 111"] * 3), "invalid_offer"),
        (with_lines(*["a=candidate:1 1 udp 1 192.0.2.1 5 typ host"] * 99), "invalid_offer"),
        (OFFER.split("m=audio")[0], "invalid_offer"),
        (OFFER.replace("a=mid:0\n", ""), "invalid_offer"),
        (OFFER.replace("a=mid:0\n", "a=mid:\n"), "invalid_offer"),
        (OFFER.replace("BUNDLE 0", "BUNDLE 0 1"), "invalid_offer"),
        (with_lines("m=application 9 UDP/DTLS/SCTP x", "a=mid:0"), "invalid_offer"),
    ],
)
def test_an_offer_of_something_else_is_refused(offer, code):
    with pytest.raises(ApiError) as caught:
        check_offer(offer)
    assert caught.value.status == 400
    assert caught.value.code == code


def test_hidden_addresses_are_not_looked_up():
    hidden = "a=candidate:1 1 udp 1 0a1b2c3d.local 5 typ host"
    plain = "a=candidate:2 1 udp 1 192.0.2.1 5 typ host"
    kept = check_offer(with_lines(hidden, plain))
    assert ".local" not in kept
    assert plain in kept


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://[", "http://[::1"])
def test_a_page_of_another_site_cannot_call(server, origin):
    status, _, body = server.request(CALLS, b"v=0", content_type="application/sdp", origin=origin)
    assert status == 403
    assert json.loads(body)["error"]["code"] == "origin_not_allowed"
    status, _, _ = server.request(CALLS, b"v", content_type="application/sdp", origin=server.url)
    assert status == 400


def test_an_unknown_call_cannot_be_hung_up(server):
    assert server.request(f"{CALLS}/rtc_x", method="DELETE")[0] == 404
    assert server.request(f"{CALLS}/rtc_x/hangup", b"")[0] == 404


def test_health_and_readiness(server):
    assert server.request("/healthz")[0] == 200
    for path in ("/healthz", "/readyz"):
        status, _, body = server.request(path, method="HEAD")
        assert (status, body) == (200, "")
    status, _, body = server.request("/readyz")
    assert status == 200
    state = json.loads(body)
    assert AgentSpec.of(**state.pop("agent")) == AgentSpec()
    assert state == {"status": "ready", "detail": "", "slots": 1, "calls": 0}


def test_an_offer_while_the_model_loads_is_told_to_come_back(start_server):
    with start_server("load_slowly", ready=False) as server:
        status, headers, body = server.request("/readyz")
        assert (status, json.loads(body)["status"]) == (503, "starting")
        assert int(headers["Retry-After"]) > 0
        status, headers, body = server.request(
            CALLS, OFFER.encode(), content_type="application/sdp"
        )
        assert status == 503
        assert json.loads(body)["error"]["code"] == "worker_starting"
        assert int(headers["Retry-After"]) > 0


def test_why_the_model_does_not_load_is_told(start_server):
    with start_server("load_nothing", ready=False) as server:
        state = server.wait_state(status="restarting")
        assert state["detail"] == "the weights are missing: run duplex-agent doctor"


def test_the_page_loads_nothing_from_elsewhere(server):
    status, headers, page = server.request("/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    names = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    seen = {"": page}
    while names - seen.keys():
        name = (names - seen.keys()).pop()
        status, _, seen[name] = server.request(f"/{name}")
        assert status == 200, name
        names |= set(re.findall(r'from "\./([^"]+)"', seen[name]))
    assert len(seen) > 6
    for name, text in seen.items():
        urls = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]+[^\s\"')]*", text))
        assert urls <= {"http://www.w3.org/2000/svg"}, name


def test_a_taken_port_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(GatewayError, match=f"^port {port} is in use: choose another"):
            gateway_server.serve("127.0.0.1", port)
    with pytest.raises(GatewayError, match=r"cannot listen on 192\.0\.2\.254"):
        gateway_server.serve("192.0.2.254", 0)


def test_an_aiortc_that_moved_its_jitter_buffer_is_refused(monkeypatch):
    aiortc_internals.check_internals()

    async def other_place(self, packet, arrival_time_ms):
        self._buffer.add(packet)

    with monkeypatch.context() as patch:
        patch.setattr(RTCRtpReceiver, "_handle_rtp_packet", other_place)
        with pytest.raises(GatewayError, match="jitter buffer"):
            aiortc_internals.check_internals()

    async def other_way(self):
        return []

    monkeypatch.setattr(aioice.ice.Connection, "gather_candidates", other_way)
    with pytest.raises(GatewayError, match="addresses"):
        aiortc_internals.check_internals()
