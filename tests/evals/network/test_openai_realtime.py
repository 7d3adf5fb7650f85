"""The Realtime API: its events in the project's names, and real servers over both transports."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest
import uvloop
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import TargetError
from duplex_evals.metrics.conversation import listen
from duplex_evals.network.calibration import Calibration
from duplex_evals.network.call_result import CallResult
from duplex_evals.network.endpoints import ProjectEndpoint, RealtimeEndpoint, TargetBusy
from duplex_evals.network.playback_buffer import PlaybackBuffer
from duplex_evals.network.protocols import ProjectProtocol, RealtimeProtocol, on_caller_clock
from duplex_evals.network.realtime_caller import call_socket, socket_address
from duplex_evals.network.timeline import Timeline
from duplex_evals.network.user_side import PlayedAudio
from duplex_evals.network.webrtc_caller import call
from duplex_evals.runners.targets import OfflineTarget, SocketTarget, WebRtcTarget, parse_target

PLAIN = Scenario(id="plain", family="custom")
NONE = Calibration(0.0, 0.0, 0)


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")


def converse(url, pcm, scenario=PLAIN):
    url = url.replace("http://", "ws://")
    record, _ = uvloop.run(call_socket(url, PlayedAudio(pcm), scenario, 0, NONE))
    return record


@pytest.mark.realtime
def test_an_answer_is_heard_and_its_words_are_kept(peer, user_audio, key):
    with peer("realtime", 300) as url:
        record = converse(url, user_audio(1.0, 1.0, 5.0))
    (speech,) = listen(record).utterances
    assert speech[0] - 2000 > 300  # it waits that long, and the path takes its time
    # Three seconds sent at once are heard for three seconds.
    assert abs(speech[1] - speech[0] - 3000) < 20
    assert record.agent_text == "Hum hum."
    assert record.heard_text == "a hum"
    types = [event["type"] for event in record.events]
    assert types.index("user.speech_started") < types.index("reply.started")
    assert {"type": "reply.done", "reply_id": 1, "status": "completed"}.items() <= next(
        e for e in record.events if e["type"] == "reply.done"
    ).items()


@pytest.mark.realtime
def test_a_barge_in_throws_away_what_waits_and_tells_what_was_heard(peer, user_audio, key):
    with peer("realtime", 300) as url:
        record = converse(url, user_audio(1.0, 1.0, 1.6, 0.5, 1.0))
    first = listen(record).utterances[0]
    assert first[1] - first[0] < 2500
    told = next(e["text"] for e in record.events if e.get("text", "").startswith("heard"))
    heard_ms = int(told.split()[1])
    assert told.endswith("of item_1")
    assert abs(heard_ms - (first[1] - first[0])) < 30


@pytest.mark.realtime
def test_the_webrtc_endpoint_sends_a_form_and_its_key(peer, user_audio, key):
    with peer("echo", 0) as url:
        record, result = uvloop.run(
            call(RealtimeEndpoint(url), PlayedAudio(user_audio(1.5, 1.0, 0.6)), PLAIN, 0)
        )
    assert record.agent_name == f"openai+{url}/v1/realtime/calls?model=gpt-realtime"
    assert result.packets > 100
    (speech,) = listen(record).utterances
    assert abs(speech[1] - speech[0] - 1000) < 40


def test_refusals_are_target_errors(peer, key, monkeypatch, dead_port):
    silence = np.zeros(16_000, np.float32)
    with peer("realtime", 300) as url:
        asked = PLAIN.model_copy(update={"instructions": "forbidden"})
        with pytest.raises(TargetError, match="no such instructions"):
            converse(url, silence, asked)
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        with pytest.raises(TargetError, match="403"):
            converse(url, silence)
    with pytest.raises(TargetError, match="no session at"):
        converse(f"ws://127.0.0.1:{dead_port}", silence)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(TargetError, match="set OPENAI_API_KEY"):
        converse("wss://api.openai.com", silence)


class _Front(BaseHTTPRequestHandler):
    """Keeps what it is sent; answers with the status in ``self.server.status``."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.seen.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def front():
    server = HTTPServer(("127.0.0.1", 0), _Front)
    server.seen, server.status, server.location, server.body = [], 201, "/v1/calls/c1", b"v=0\r\n"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_key_goes_to_realtime_servers_and_to_no_other_host(front, key):
    url = f"http://127.0.0.1:{front.server_port}"
    ProjectEndpoint(url).open("v=0\r\n", "")
    opened = RealtimeEndpoint(f"{url}/v1/realtime/calls?model=m").open("v=0\r\n", "be brief")
    (_, plain, offer), (_, form, body) = front.seen
    assert "Authorization" not in plain
    assert offer == "v=0\r\n"
    assert form["Authorization"] == "Bearer sesame"
    session = json.loads(body.split("application/json\r\n\r\n")[1].split("\r\n")[0])
    assert session == {"type": "realtime", "model": "m", "instructions": "be brief"}
    assert opened.hang_up_url == f"{url}/v1/calls/c1/hangup"
    front.location = "http://elsewhere.example/v1/calls/c1"
    assert RealtimeEndpoint(url).open("v=0\r\n", "").hang_up_url == ""


def test_a_full_server_is_busy_and_another_error_is_not(front):
    endpoint = ProjectEndpoint(f"http://127.0.0.1:{front.server_port}")
    front.status, front.body = 503, b'{"error": {"message": "no slot is free"}}'
    with pytest.raises(TargetBusy, match="no slot is free"):
        endpoint.open("v=0\r\n", "")
    front.status = 400
    with pytest.raises(TargetError, match="answers 400") as caught:
        endpoint.open("v=0\r\n", "")
    assert not isinstance(caught.value, TargetBusy)


def test_beta_and_ga_names_mean_the_same():
    beta = {"type": "response.audio_transcript.delta", "response_id": "r", "delta": "hi"}
    ga = {**beta, "type": "response.output_audio_transcript.delta"}
    first, second = (RealtimeProtocol().react(event, 5.0).events for event in (beta, ga))
    assert (
        first == second == [{"type": "reply.text.delta", "at_ms": 5, "reply_id": 1, "text": "hi"}]
    )


def test_an_error_before_the_session_ends_the_call_and_one_inside_it_does_not():
    error = {"type": "error", "error": {"message": "no"}}
    dialect = RealtimeProtocol({})
    assert dialect.react(error, 0.0).failure
    assert dialect.react({"type": "session.updated"}, 0.0).ready
    assert not dialect.react(error, 0.0).failure


def test_the_gateway_ending_a_call_is_a_failure():
    event = {"type": "call.ended", "reason": "session_broken", "message": "it broke"}
    assert ProjectProtocol().react(event, 0.0).failure == "it broke"


def test_session_times_move_to_the_callers_clock():
    events = [
        {"type": "a", "at_ms": 80, "received_ms": 1090.0},
        {"type": "b", "at_ms": 160, "end_ms": 100, "received_ms": 1170.0},
        {"type": "c", "at_ms": 1300},
    ]
    assert on_caller_clock(events, 10.0) == [
        {"type": "a", "at_ms": 1080},
        {"type": "b", "at_ms": 1160, "end_ms": 1100},
        {"type": "c", "at_ms": 1290},
    ]


def test_sound_of_a_flushed_item_is_not_played_and_the_next_item_is():
    result = CallResult(Timeline(24_000))
    buffer = PlaybackBuffer(result)
    second = np.full(24_000, 0.5, np.float32)
    buffer.push("one", second, 0)
    buffer.push("one", second, 100)
    assert buffer.flush(36_000) == ("one", 1500)
    assert buffer.flush(36_000) is None
    buffer.push("one", second, 36_100)
    assert result.timeline.end == 36_000
    buffer.push("two", second, 40_000)
    assert result.timeline.end == 64_000
    assert buffer.flush(52_000) == ("two", 500)
    assert result.gaps == 0


def test_an_agent_is_named_or_addressed():
    assert isinstance(parse_target("local"), OfflineTarget)
    assert parse_target("cascade").name == parse_target("cascade:silero500").name
    assert parse_target("http://127.0.0.1:8000/").name == "http://127.0.0.1:8000"
    assert isinstance(parse_target("openai+https://api.openai.com"), WebRtcTarget)
    socket = parse_target("openai+wss://host/realtime?model=m")
    assert isinstance(socket, SocketTarget)
    assert socket.name == "openai+wss://host/realtime?model=m"
    assert socket_address("ws://host") == "ws://host/v1/realtime?model=gpt-realtime"
    for wrong in ("lokal", "ftp://host", "http://"):
        with pytest.raises(TargetError):
            parse_target(wrong)
